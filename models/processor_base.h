// What the processors of all families share: tokenizer, special tokens, placeholders. A family adds its
// prompt, its image processor and, where it is more than a run, what stands for a picture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "models/json.h"
#include "models/processor.h"
#include "models/tokenizer/tokenizer.h"

namespace rein::models {

// config.json of a folder. Errors: NOT_FOUND, INVALID_ARGUMENT, RESOURCE_EXHAUSTED.
absl::StatusOr<Json> ReadConfig(const std::filesystem::path& folder);

// Settings of the image processor: preprocessor_config.json, or "image_processor" of processor_config.json.
// Errors: NOT_FOUND (neither file), INVALID_ARGUMENT.
struct ImageSettings {
  Json json;
  std::string where;  // the file, for messages
};
absl::StatusOr<ImageSettings> ReadImageSettings(const std::filesystem::path& folder);

// processor_config.json, an empty object where there is none. Errors: as ReadConfig but NOT_FOUND.
absl::StatusOr<Json> ReadProcessorConfig(const std::filesystem::path& folder);

// The tokenizer of a folder, and the ids that mean something.
struct TextSide {
  Tokenizer tokenizer;
  std::string digest;  // SHA-256 of tokenizer.json
  int32_t image_token = -1;
  std::string image_text;  // what the image token reads
  std::string begin_text;  // what the token at the beginning of texts reads; empty: there is none
  std::vector<int32_t> end_tokens;
  std::vector<int32_t> pad_tokens;
};
// `image_key` is where `config` names the image token. End tokens come from generation_config.json, config,
// its text_config or tokenizer_config.json, the first that has any. Padding tokens come from all of them; ids
// that the tokenizer does not have are passed over, because configurations hold those of other tokenizers
// (Idefics3's 128002). The token at the beginning is tokenizer_config.json's bos_token. Errors: NOT_FOUND (no
// tokenizer.json), INVALID_ARGUMENT (no added token for pictures, no end token), UNIMPLEMENTED.
absl::StatusOr<TextSide> ReadTextSide(const std::filesystem::path& folder, const Fields& config,
                                      const std::string& image_key, int64_t image_token);

class ProcessorBase : public Processor {
 public:
  absl::StatusOr<std::vector<int32_t>> EncodePrompt(absl::string_view question,
                                                    absl::Span<const ProcessedImage> images) const override;
  absl::StatusOr<std::vector<int32_t>> EncodeRaw(absl::string_view text,
                                                 absl::Span<const ProcessedImage> images) const override;
  std::vector<int32_t> EncodeResponse(absl::string_view answer) const override;
  std::string Decode(absl::Span<const int32_t> tokens) const override;
  const std::vector<int32_t>& end_tokens() const override { return text_.end_tokens; }
  at::Tensor AllowedTokens(int64_t vocab_size) const override;
  int64_t tokenizer_size() const override { return text_.tokenizer.size(); }
  const std::string& tokenizer_digest() const override { return text_.digest; }

 protected:
  explicit ProcessorBase(TextSide text) : text_(std::move(text)) {}
  const TextSide& text() const { return text_; }

  // The chat template for one question, with one image_text for every picture.
  virtual absl::StatusOr<std::string> RenderPrompt(absl::string_view question, size_t images) const = 0;
  // What the template puts between prompt and answer.
  virtual std::string AnswerPrefix() const { return ""; }
  // The tokens that a picture's single image token becomes.
  virtual std::vector<int32_t> Expand(const ProcessedImage& image) const;
  // Further ids that must not be sampled.
  virtual std::vector<int32_t> MaskedTokens() const { return {}; }

 private:
  TextSide text_;
};

}  // namespace rein::models
