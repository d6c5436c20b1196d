#include "models/tokenizer/pre_tokenizer.h"

#include <functional>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/status.h"
#include "models/tokenizer/component.h"
#include "models/tokenizer/split.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr char kSupported[] =
    "ByteLevel, Split, Digits, Metaspace, Whitespace, WhitespaceSplit, Punctuation, Sequence of these, none";

// The pattern that a ByteLevel pre-tokenizer brings along.
constexpr char kByteLevelPattern[] =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

using Stage = PreTokenizer::Stage;
using Finder = std::function<void(absl::string_view text, Spans& spans)>;

// Finds the single characters for which `wanted` holds.
Finder EachChar(bool (*wanted)(uint32_t code_point)) {
  return [wanted](absl::string_view text, Spans& spans) {
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      const size_t next = at + CharBytes(text, at);
      if (wanted(DecodeChar(text, at))) {
        if (at > done) spans.push_back({done, at, false});
        spans.push_back({at, next, true});
        done = next;
      }
      at = next;
    }
    if (done < text.size()) spans.push_back({done, text.size(), false});
  };
}

// Finds runs of \w and of what is neither that nor white space.
void FindWords(absl::string_view text, Spans& spans) {
  enum class Kind { kSpace, kWord, kOther };
  const auto kind_at = [&](size_t at) {
    const uint32_t code_point = DecodeChar(text, at);
    if (IsWordChar(code_point)) return Kind::kWord;
    return IsUnicodeSpace(code_point) ? Kind::kSpace : Kind::kOther;
  };
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const Kind kind = kind_at(at);
    while (at < text.size() && kind_at(at) == kind) at += CharBytes(text, at);
    spans.push_back({begin, at, kind != Kind::kSpace});
  }
}

class SplitStage : public Stage {
 public:
  SplitStage(Finder find, SplitBehavior behavior, bool invert)
      : find_(std::move(find)), behavior_(behavior), invert_(invert) {}

  void Cut(absl::string_view text, bool first, Next next) const override {
    Spans spans;
    find_(text, spans);
    if (invert_) {
      for (Span& span : spans) span.match = !span.match;
    }
    ApplySplitBehavior(behavior_, spans);
    for (const Span& span : spans) {
      if (span.match || span.begin == span.end) continue;
      next(text.substr(span.begin, span.end - span.begin), first && span.begin == 0);
    }
  }

 private:
  Finder find_;
  SplitBehavior behavior_;
  bool invert_;
};

// GPT-2's: puts a space in front, cuts words out. The map to byte-level characters is a stage of its own.
class ByteLevelStage : public Stage {
 public:
  ByteLevelStage(bool add_prefix_space, std::optional<Regex> words)
      : add_prefix_space_(add_prefix_space), words_(std::move(words)) {}

  void Cut(absl::string_view text, bool first, Next next) const override {
    std::string spaced;
    if (add_prefix_space_ && text[0] != ' ') text = spaced = absl::StrCat(" ", text);
    if (!words_.has_value()) return next(text, first);
    Spans spans;
    words_->Find(text, spans);
    for (const Span& span : spans) {
      next(text.substr(span.begin, span.end - span.begin), first && span.begin == 0);
    }
  }

 private:
  bool add_prefix_space_;
  std::optional<Regex> words_;
};

class ByteMapStage : public Stage {
 public:
  void Cut(absl::string_view text, bool first, Next next) const override { next(ToByteLevel(text), first); }
};

// SentencePiece's: spaces become a visible character, which begins each word.
class MetaspaceStage : public Stage {
 public:
  enum class Prepend { kFirst, kNever, kAlways };
  MetaspaceStage(std::string replacement, Prepend prepend, bool split)
      : replacement_(std::move(replacement)), prepend_(prepend), split_(split) {}

  void Cut(absl::string_view text, bool first, Next next) const override {
    std::string marked = absl::StrReplaceAll(text, {{" ", replacement_}});
    const bool wanted = prepend_ == Prepend::kAlways || (prepend_ == Prepend::kFirst && first);
    if (wanted && !absl::StartsWith(marked, replacement_)) marked.insert(0, replacement_);
    if (!split_) return next(marked, first);
    const absl::string_view whole = marked;
    for (size_t begin = 0; begin < whole.size();) {
      const size_t end = std::min(whole.find(replacement_, begin + 1), whole.size());
      next(whole.substr(begin, end - begin), first && begin == 0);
      begin = end;
    }
  }

 private:
  std::string replacement_;
  Prepend prepend_;
  bool split_;
};

absl::StatusOr<MetaspaceStage::Prepend> ParsePrepend(const Fields& component) {
  using Prepend = MetaspaceStage::Prepend;
  REIN_ASSIGN_OR_RETURN(const std::string scheme, component.String("prepend_scheme", "always"));
  REIN_ASSIGN_OR_RETURN(const bool add_prefix_space, component.Bool("add_prefix_space", true));
  if (!add_prefix_space && scheme != "never") {
    return component.Error("add_prefix_space",
                           absl::StrCat("is false, but prepend_scheme is \"", scheme, "\""));
  }
  if (scheme == "first") return Prepend::kFirst;
  if (scheme == "never") return Prepend::kNever;
  if (scheme == "always") return Prepend::kAlways;
  return component.Unsupported("prepend_scheme", scheme, "first, never, always");
}

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const Fields& root) {
  PreTokenizer pre_tokenizer;
  REIN_RETURN_IF_ERROR(ForEachComponent(
      root, "pre_tokenizer", "pretokenizers",
      [&](const Fields& component, const std::string& type) { return pre_tokenizer.Add(component, type); }));
  return pre_tokenizer;
}

absl::Status PreTokenizer::Add(const Fields& component, const std::string& type) {
  if (ends_in_bytes_) stages_.push_back(std::make_shared<ByteMapStage>());  // not the last after all
  ends_in_bytes_ = false;
  if (type == "ByteLevel") return AddByteLevel(component);
  if (type == "Metaspace") return AddMetaspace(component);
  if (type == "Split") return AddSplit(component);
  if (type == "Digits") {
    REIN_ASSIGN_OR_RETURN(const bool individual, component.Bool("individual_digits", false));
    const auto behavior = individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous;
    stages_.push_back(std::make_shared<SplitStage>(EachChar(IsNumeric), behavior, false));
  } else if (type == "Punctuation") {
    REIN_ASSIGN_OR_RETURN(const SplitBehavior behavior, ParseSplitBehavior(component, "Isolated"));
    stages_.push_back(std::make_shared<SplitStage>(EachChar(IsPunctuation), behavior, false));
  } else if (type == "WhitespaceSplit") {
    stages_.push_back(std::make_shared<SplitStage>(EachChar(IsUnicodeSpace), SplitBehavior::kRemoved, false));
  } else if (type == "Whitespace") {
    stages_.push_back(std::make_shared<SplitStage>(FindWords, SplitBehavior::kRemoved, /*invert=*/true));
  } else {
    return component.Unsupported("type", type, kSupported);
  }
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddByteLevel(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(const bool add_prefix_space, component.Bool("add_prefix_space", true));
  REIN_ASSIGN_OR_RETURN(const bool use_regex, component.Bool("use_regex", true));
  std::optional<Regex> words;
  if (use_regex) {
    REIN_ASSIGN_OR_RETURN(words, Regex::Compile(kByteLevelPattern));
  }
  stages_.push_back(std::make_shared<ByteLevelStage>(add_prefix_space, std::move(words)));
  ends_in_bytes_ = true;
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddMetaspace(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(const std::string replacement, component.String("replacement", ""));
  if (replacement.empty() || CharBytes(replacement, 0) != replacement.size()) {
    return component.Error("replacement", absl::StrCat("is \"", replacement, "\", one character is needed"));
  }
  REIN_ASSIGN_OR_RETURN(const MetaspaceStage::Prepend prepend, ParsePrepend(component));
  REIN_ASSIGN_OR_RETURN(const bool split, component.Bool("split", true));
  knows_first_ = knows_first_ || prepend == MetaspaceStage::Prepend::kFirst;
  stages_.push_back(std::make_shared<MetaspaceStage>(replacement, prepend, split));
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddSplit(const Fields& component) {
  REIN_ASSIGN_OR_RETURN(TextPattern pattern, TextPattern::Parse(component));
  REIN_ASSIGN_OR_RETURN(const SplitBehavior behavior, ParseSplitBehavior(component, ""));
  REIN_ASSIGN_OR_RETURN(const bool invert, component.Bool("invert", false));
  auto find = [pattern = std::move(pattern)](absl::string_view text, Spans& spans) {
    pattern.Find(text, spans);
  };
  stages_.push_back(std::make_shared<SplitStage>(std::move(find), behavior, invert));
  return absl::OkStatus();
}

void PreTokenizer::CutFrom(size_t stage, absl::string_view text, bool first, Sink sink) const {
  if (text.empty()) return;
  if (stage == stages_.size()) return sink(text);
  stages_[stage]->Cut(text, first, [&](absl::string_view piece, bool piece_first) {
    CutFrom(stage + 1, piece, piece_first, sink);
  });
}

}  // namespace rein::models
