#include "models/tokenizer/decoder.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/component.h"
#include "models/tokenizer/decode_stages.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr char kSupported[] =
    "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace, BPEDecoder, Sequence of these, none";
constexpr int64_t kMaxStrip = 1 << 20;

absl::StatusOr<std::string> OneCharacter(const Fields& component, const std::string& key) {
  REIN_ASSIGN_OR_RETURN(std::string text, component.String(key, ""));
  if (!text.empty() && CharBytes(text, 0) == text.size()) return text;
  return component.Error(key, absl::StrCat("is \"", text.substr(0, 64), "\", one character is needed"));
}

}  // namespace

absl::StatusOr<Decoder> Decoder::Parse(const Fields& root) {
  Decoder decoder;
  if (!root.Has("decoder")) decoder.separator_.push_back(' ');
  REIN_RETURN_IF_ERROR(ForEachComponent(
      root, "decoder", "decoders",
      [&](const Fields& component, const std::string& type) { return decoder.Add(component, type); }));
  return decoder;
}

template <typename Stage, typename... Arguments>
absl::Status Decoder::AddStage(Arguments... arguments) {
  stages_.emplace_back([=](DecodeStage& next) { return std::make_unique<Stage>(next, arguments...); });
  return absl::OkStatus();
}

absl::Status Decoder::Add(const Fields& component, const std::string& type) {
  if (type == "ByteLevel") return AddStage<ByteLevelDecodeStage>();
  if (type == "ByteFallback") return AddStage<ByteFallbackStage>();
  if (type == "Fuse") return AddStage<FuseStage>();
  if (type == "Replace") {
    REIN_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::Parse(component));
    REIN_ASSIGN_OR_RETURN(std::string content, component.String("content", ""));
    return AddStage<ReplaceStage>(std::move(pattern), std::move(content));
  }
  if (type == "Strip") {
    REIN_ASSIGN_OR_RETURN(std::string content, OneCharacter(component, "content"));
    REIN_ASSIGN_OR_RETURN(const int64_t start, component.Int("start", 0, 0, kMaxStrip));
    REIN_ASSIGN_OR_RETURN(const int64_t stop, component.Int("stop", 0, 0, kMaxStrip));
    return AddStage<StripStage>(std::move(content), static_cast<size_t>(start), static_cast<size_t>(stop));
  }
  if (type == "Metaspace") {
    REIN_ASSIGN_OR_RETURN(std::string mark, OneCharacter(component, "replacement"));
    REIN_ASSIGN_OR_RETURN(const bool add_prefix_space, component.Bool("add_prefix_space", true));
    REIN_ASSIGN_OR_RETURN(const std::string scheme, component.String("prepend_scheme", "always"));
    return AddStage<MetaspaceDecodeStage>(std::move(mark), add_prefix_space && scheme != "never");
  }
  if (type == "BPEDecoder") {
    REIN_ASSIGN_OR_RETURN(std::string suffix, component.String("suffix", "</w>"));
    if (suffix.empty()) return component.Error("suffix", "is empty");
    return AddStage<WordEndStage>(std::move(suffix));
  }
  return component.Unsupported("type", type, kSupported);
}

DecodeChain Decoder::Start(std::string* out) const {
  DecodeChain chain;
  chain.stages_.push_back(std::make_unique<AppendStage>(out, separator_));
  for (auto stage = stages_.rbegin(); stage != stages_.rend(); ++stage) {
    chain.stages_.push_back((*stage)(*chain.stages_.back()));
  }
  return chain;
}

}  // namespace rein::models
