// tokenizer.json of the BPE kinds (GPT-2, Qwen2, SmolLM2, Llama): the pipeline that the file declares, with
// the results of the `tokenizers` library.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "models/json.h"
#include "models/tokenizer/added_tokens.h"
#include "models/tokenizer/bpe.h"
#include "models/tokenizer/decoder.h"
#include "models/tokenizer/normalizer.h"
#include "models/tokenizer/post_processor.h"
#include "models/tokenizer/pre_tokenizer.h"
#include "models/tokenizer/workspace_pool.h"

namespace rein::models {

// Thread-safe after Parse. Copies share their cache.
class Tokenizer {
 public:
  // `text` is the content of the file, `where` its name in messages. "truncation" and "padding" are left to
  // the caller. Errors: INVALID_ARGUMENT (broken file), RESOURCE_EXHAUSTED (over 64 MiB), UNIMPLEMENTED (a
  // component that is not supported; names it and what is).
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
  friend class StreamDecoder;
  Tokenizer(Normalizer normalizer, AddedTokens added, Bpe bpe)
      : normalizer_(std::move(normalizer)), added_(std::move(added)), bpe_(std::move(bpe)) {}
  absl::Status CheckAddedTokens(const std::string& where) const;
  absl::Status ParseStages(const Fields& root);
  void EncodeText(absl::string_view text, bool first, Bpe::Workspace& workspace,
                  std::vector<int32_t>& ids) const;
  void EncodeRaw(absl::string_view text, bool first, Bpe::Workspace& workspace,
                 std::vector<int32_t>& ids) const;
  // Hands the text of a token to a decoder, none where it is unknown or skipped.
  void DecodeToken(int32_t id, bool skip_special_tokens, DecodeStage& decoder) const;

  Normalizer normalizer_;
  AddedTokens added_;
  PreTokenizer pre_tokenizer_;
  Bpe bpe_;
  PostProcessor post_processor_;
  Decoder decoder_;
  std::shared_ptr<WorkspacePool> workspaces_ = std::make_shared<WorkspacePool>();
  int32_t size_ = 0;
};

}  // namespace rein::models
