// The steps that Decoder is made of. Each behaves on a whole sequence as the decoder of its name in
// `tokenizers`.
#pragma once

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "models/tokenizer/component.h"
#include "models/tokenizer/decoder.h"

namespace rein::models {

// Hands everything on.
class PassStage : public DecodeStage {
 public:
  explicit PassStage(DecodeStage& next) : next_(next) {}
  void Text(absl::string_view text) override { next_.Text(text); }
  void EndToken() override { next_.EndToken(); }
  void Finish() override { next_.Finish(); }

 protected:
  DecodeStage& next() { return next_; }
  void Token(absl::string_view token) {
    next_.Text(token);
    next_.EndToken();
  }

 private:
  DecodeStage& next_;
};

// Collects each token.
class WholeTokenStage : public PassStage {
 public:
  using PassStage::PassStage;
  void Text(absl::string_view text) final { absl::StrAppend(&token_, text); }
  void EndToken() final {
    OnToken(token_);
    token_.clear();
  }

 protected:
  virtual void OnToken(const std::string& token) = 0;

 private:
  std::string token_;
};

// GPT-2's characters become bytes, the bytes of all tokens one text; broken UTF-8 becomes U+FFFD.
class ByteLevelDecodeStage : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void Finish() override;

 protected:
  void OnToken(const std::string& token) override;

 private:
  std::string pending_;  // the start of a character
};

// A run of tokens such as "<0xE2>" becomes one text, or as many U+FFFD where its bytes are no UTF-8.
class ByteFallbackStage : public WholeTokenStage {
 public:
  using WholeTokenStage::WholeTokenStage;
  void Finish() override;

 protected:
  void OnToken(const std::string& token) override;

 private:
  void EndRun();
  std::string run_;
};

class ReplaceStage : public WholeTokenStage {
 public:
  ReplaceStage(DecodeStage& next, TextPattern pattern, std::string content)
      : WholeTokenStage(next), pattern_(std::move(pattern)), content_(std::move(content)) {}

 protected:
  void OnToken(const std::string& token) override { Token(pattern_.Replace(token, content_)); }

 private:
  TextPattern pattern_;
  std::string content_;
};

// All tokens become one.
class FuseStage : public PassStage {
 public:
  using PassStage::PassStage;
  void EndToken() override {}
  void Finish() override {
    next().EndToken();
    next().Finish();
  }
};

// Removes up to `start` characters from the start of each token, up to `stop` from its end.
class StripStage : public PassStage {
 public:
  StripStage(DecodeStage& next, std::string content, size_t start, size_t stop)
      : PassStage(next), content_(std::move(content)), start_(start), stop_(stop) {}
  void Text(absl::string_view text) override;
  void EndToken() override;

 private:
  std::string content_;  // one character
  size_t start_, stop_;
  size_t stripped_ = 0;  // of this token, from its start
  bool started_ = false;
  size_t held_ = 0;  // characters seen at its end so far
};

// The mark becomes a space, in the first token nothing where a mark is put in front of texts.
class MetaspaceDecodeStage : public PassStage {
 public:
  MetaspaceDecodeStage(DecodeStage& next, std::string mark, bool prepends)
      : PassStage(next), mark_(std::move(mark)), drop_(prepends) {}
  void Text(absl::string_view text) override;
  void EndToken() override;

 private:
  std::string mark_;
  bool drop_;
};

// The mark at the end of words becomes a space, in the last token nothing.
class WordEndStage : public WholeTokenStage {
 public:
  WordEndStage(DecodeStage& next, std::string mark) : WholeTokenStage(next), mark_(std::move(mark)) {}
  void Finish() override;

 protected:
  void OnToken(const std::string& token) override;

 private:
  void Emit(absl::string_view replacement);
  std::string mark_;
  std::string last_;
  bool any_ = false;
};

// The end of the row: appends to a text, with `separator` between tokens.
class AppendStage : public DecodeStage {
 public:
  AppendStage(std::string* out, std::string separator) : out_(out), separator_(std::move(separator)) {}
  void Text(absl::string_view text) override;
  void EndToken() override;
  void Finish() override {}

 private:
  void BeginToken();
  std::string* out_;
  std::string separator_;
  bool in_token_ = false, any_ = false;
};

}  // namespace rein::models
