// tokenizer.json of the byte-level BPE kind (GPT-2, Qwen2, Llama 3): the pipeline that the file declares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/json.h"
#include "models/tokenizer/added_tokens.h"
#include "models/tokenizer/bpe.h"
#include "models/tokenizer/regex.h"

namespace rein::models {

// Thread-safe after Parse.
class Tokenizer {
 public:
  // `text` is the content of the file, `where` its name in messages. Errors: INVALID_ARGUMENT (broken file),
  // UNIMPLEMENTED (a component that is not supported; names it and what is).
  static absl::StatusOr<Tokenizer> Parse(const std::string& text, const std::string& where);

  // Ids of a text; bytes that are no UTF-8 count as U+FFFD. Added tokens in the text are recognised. With
  // `add_special_tokens` the post-processor's tokens are put around.
  std::vector<int32_t> Encode(absl::string_view text, bool add_special_tokens) const;

  // Text of the ids; bytes that are no UTF-8 come out as U+FFFD, unknown ids as nothing.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special_tokens) const;

  // -1 when there is no such token.
  int32_t IdOf(const std::string& token) const;
  // Empty when no token has the id.
  std::string TokenOf(int32_t id) const;
  bool IsSpecial(int32_t id) const;
  // 1 + the largest id.
  int32_t size() const { return size_; }

 private:
  // One stage of pre-tokenisation.
  struct Cut {
    enum class Kind { kRegex, kByteLevel } kind = Kind::kByteLevel;
    std::vector<Regex> regex;       // none or one
    bool add_prefix_space = false;  // byte level
  };
  Tokenizer(AddedTokens added, Bpe bpe) : added_(std::move(added)), bpe_(std::move(bpe)) {}
  absl::Status ParseNormalizer(const Fields& normalizer);
  absl::Status ParsePreTokenizer(const Fields& pre_tokenizer);
  absl::Status ParsePostProcessor(const Fields& processor);
  absl::Status ParseTemplate(const Fields& processor);
  absl::Status ParseDecoder(const Fields& decoder) const;
  void EncodeText(const std::string& text, std::vector<int32_t>& ids) const;

  AddedTokens added_;
  Bpe bpe_;
  bool nfc_ = false;
  std::vector<Cut> cuts_;
  bool byte_level_ = false;
  std::vector<int32_t> prefix_, suffix_;
  int32_t size_ = 0;
};

}  // namespace rein::models
