#include "models/tokenizer/component.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr int kMaxMembers = 64;
constexpr size_t kMaxGrowth = 64;

absl::Status Visit(const Fields& component, const std::string& list_key, ComponentVisitor visit,
                   int& members) {
  REIN_ASSIGN_OR_RETURN(const std::string type, component.String("type", ""));
  if (type.empty()) return component.Error("type", "is missing");
  if (type != "Sequence") {
    if (++members > kMaxMembers) {
      return component.Error("type",
                             absl::StrCat("comes after ", kMaxMembers, " others, no more are allowed"));
    }
    return visit(component, type);
  }
  const Json* list = component.Find(list_key);
  if (list == nullptr || !list->is_array()) return component.Error(list_key, "is missing or no list");
  for (const Json& item : *list) {
    if (!item.is_object()) return component.Error(list_key, "holds something that is no object");
    REIN_RETURN_IF_ERROR(Visit(Fields(item, component.where()), list_key, visit, members));
  }
  return absl::OkStatus();
}

void FindLiteral(const std::string& literal, absl::string_view text, Spans& spans) {
  size_t done = 0;
  for (size_t at = text.find(literal); at != absl::string_view::npos; at = text.find(literal, done)) {
    if (at > done) spans.push_back({done, at, false});
    done = at + literal.size();
    spans.push_back({at, done, true});
  }
  if (done < text.size()) spans.push_back({done, text.size(), false});
}

}  // namespace

absl::Status ForEachComponent(const Fields& root, const std::string& key, const std::string& list_key,
                              ComponentVisitor visit) {
  if (!root.Has(key)) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const Fields component, root.Object(key));
  int members = 0;
  return Visit(component, list_key, visit, members);
}

absl::StatusOr<TextPattern> TextPattern::Parse(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(const Fields pattern, component.Object("pattern"));
  REIN_ASSIGN_OR_RETURN(std::string literal, pattern.String("String", ""));
  REIN_ASSIGN_OR_RETURN(const std::string expression, pattern.String("Regex", ""));
  if (literal.empty() == expression.empty()) {
    return component.Error("pattern", "needs either a String or a Regex that is not empty");
  }
  if (!literal.empty()) return TextPattern(std::move(literal));
  auto regex = Regex::Compile(expression);
  if (!regex.ok()) return WithContext(regex.status(), component.where());
  return TextPattern(*std::move(regex));
}

void TextPattern::Find(absl::string_view text, Spans& spans) const {
  if (const auto* literal = std::get_if<std::string>(&what_)) return FindLiteral(*literal, text, spans);
  std::get<Regex>(what_).Find(text, spans);
}

std::string TextPattern::Replace(absl::string_view text, absl::string_view content) const {
  Spans spans;
  Find(text, spans);
  std::string result;
  const auto matches = std::count_if(spans.begin(), spans.end(), [](const Span& span) { return span.match; });
  if (static_cast<size_t>(matches) * content.size() > kMaxGrowth * text.size() + kMaxGrowth) {
    return std::string(text);
  }
  result.reserve(text.size());
  for (const Span& span : spans) {
    absl::StrAppend(&result, span.match ? content : text.substr(span.begin, span.end - span.begin));
  }
  return result;
}

}  // namespace rein::models
