#include "models/tokenizer/normalizer.h"

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/component.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr char kSupported[] = "NFC, NFD, NFKC, NFKD, Prepend, Replace, Strip, Sequence of these, none";

// A text that has grown beyond this is normalized no further: a chain of Replace could fill the memory.
constexpr size_t kMaxGrowth = 64, kMaxGrowthBytes = 4096;

std::string Stripped(const std::string& text, bool left, bool right) {
  size_t begin = 0, end = text.size();
  while (left && begin < end && IsUnicodeSpace(DecodeChar(text, begin))) begin += CharBytes(text, begin);
  while (right && end > begin && IsUnicodeSpace(DecodeChar(text, CharBefore(text, end)))) {
    end = CharBefore(text, end);
  }
  return text.substr(begin, end - begin);
}

}  // namespace

absl::StatusOr<Normalizer> Normalizer::Parse(const Fields& root) {
  Normalizer normalizer;
  REIN_RETURN_IF_ERROR(ForEachComponent(
      root, "normalizer", "normalizers",
      [&](const Fields& component, const std::string& type) { return normalizer.Add(component, type); }));
  return normalizer;
}

absl::Status Normalizer::Add(const Fields& component, const std::string& type) {
  static const auto& forms = *new std::map<std::string, NormalForm>{
      {"NFC", NormalForm::kC}, {"NFD", NormalForm::kD}, {"NFKC", NormalForm::kKC}, {"NFKD", NormalForm::kKD}};
  if (const auto form = forms.find(type); form != forms.end()) {
    steps_.emplace_back([form = form->second](const std::string& text) { return Normalize(form, text); });
    return absl::OkStatus();
  }
  if (type == "Prepend") {
    REIN_ASSIGN_OR_RETURN(const std::string prefix, component.String("prepend", ""));
    steps_.emplace_back(
        [prefix](std::string text) { return text.empty() ? std::move(text) : absl::StrCat(prefix, text); });
    return absl::OkStatus();
  }
  if (type == "Replace") return AddReplace(component);
  if (type == "Strip") return AddStrip(component);
  return component.Unsupported("type", type, kSupported);
}

absl::Status Normalizer::AddReplace(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::Parse(component));
  REIN_ASSIGN_OR_RETURN(std::string content, component.String("content", ""));
  may_remove_start_ = may_remove_start_ || content.empty();
  steps_.emplace_back([pattern = std::move(pattern), content = std::move(content)](const std::string& text) {
    return pattern.Replace(text, content);
  });
  return absl::OkStatus();
}

absl::Status Normalizer::AddStrip(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(const bool left, component.Bool("strip_left", false));
  REIN_ASSIGN_OR_RETURN(const bool right, component.Bool("strip_right", false));
  may_remove_start_ = may_remove_start_ || left;
  steps_.emplace_back([left, right](const std::string& text) { return Stripped(text, left, right); });
  return absl::OkStatus();
}

std::string Normalizer::Apply(std::string text) const {
  const size_t limit = kMaxGrowth * text.size() + kMaxGrowthBytes;
  for (const Step& step : steps_) {
    if (text.size() > limit) break;
    text = step(std::move(text));
  }
  return text;
}

}  // namespace rein::models
