#include "models/tokenizer/decode_stages.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_replace.h"
#include "models/tokenizer/unicode.h"

namespace rein::models {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

// The byte that "<0xE2>" stands for, or -1. As where it comes from, "+F" is a number of two digits, too.
int ByteOf(absl::string_view token) {
  if (token.size() != 6 || !absl::StartsWith(token, "<0x") || token[5] != '>') return -1;
  absl::string_view digits = token.substr(3, 2);
  if (digits[0] == '+') digits.remove_prefix(1);
  uint32_t byte = 0;
  const bool is_hex = std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit);
  return is_hex && absl::SimpleHexAtoi(digits, &byte) ? static_cast<int>(byte) : -1;
}

}  // namespace

void ByteLevelDecodeStage::OnToken(const std::string& token) {
  pending_ += FromByteLevel(token);
  const size_t complete = CompleteUtf8(pending_).size();
  if (complete == 0) return;
  next().Text(SanitizeUtf8(absl::string_view(pending_).substr(0, complete)));
  pending_.erase(0, complete);
}

void ByteLevelDecodeStage::Finish() {
  Token(SanitizeUtf8(pending_));
  pending_.clear();
  next().Finish();
}

void ByteFallbackStage::OnToken(const std::string& token) {
  if (const int byte = ByteOf(token); byte >= 0) {
    run_.push_back(static_cast<char>(byte));
    return;
  }
  EndRun();
  Token(token);
}

void ByteFallbackStage::EndRun() {
  if (run_.empty()) return;
  if (SanitizeUtf8(run_) == run_) {
    Token(run_);
  } else {
    for (size_t i = 0; i < run_.size(); ++i) Token(kReplacement);
  }
  run_.clear();
}

void ByteFallbackStage::Finish() {
  EndRun();
  next().Finish();
}

void StripStage::Text(absl::string_view text) {
  while (!started_ && stripped_ < start_ && absl::StartsWith(text, content_)) {
    text.remove_prefix(content_.size());
    ++stripped_;
  }
  if (text.empty()) return;
  started_ = true;
  if (stop_ == 0) return next().Text(text);
  // Marks at the end are held back until it is known that they are not the token's end.
  size_t marks = 0, end = text.size();
  while (absl::EndsWith(text.substr(0, end), content_)) {
    end -= content_.size();
    ++marks;
  }
  if (end > 0) {
    for (; held_ > 0; --held_) next().Text(content_);
    next().Text(text.substr(0, end));
  }
  held_ += marks;
  for (; held_ > stop_; --held_) next().Text(content_);
}

void StripStage::EndToken() {
  stripped_ = held_ = 0;
  started_ = false;
  next().EndToken();
}

void MetaspaceDecodeStage::Text(absl::string_view text) {
  next().Text(absl::StrReplaceAll(text, {{mark_, drop_ ? "" : " "}}));
}

void MetaspaceDecodeStage::EndToken() {
  drop_ = false;
  next().EndToken();
}

void WordEndStage::OnToken(const std::string& token) {
  if (any_) Emit(" ");
  last_ = token;
  any_ = true;
}

void WordEndStage::Emit(absl::string_view replacement) {
  Token(absl::StrReplaceAll(last_, {{mark_, replacement}}));
}

void WordEndStage::Finish() {
  if (any_) Emit("");
  next().Finish();
}

void AppendStage::BeginToken() {
  if (!in_token_ && any_) out_->append(separator_);
  in_token_ = any_ = true;
}

void AppendStage::Text(absl::string_view text) {
  BeginToken();
  absl::StrAppend(out_, text);
}

void AppendStage::EndToken() {
  BeginToken();
  in_token_ = false;
}

}  // namespace rein::models
