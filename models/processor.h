// From question and picture to token ids and pixels, as the model folder says; and back.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "data/image.h"
#include "models/vision_language_model.h"

namespace rein::models {

// Tokenizer, chat template and image processor of one model folder. Thread-safe after Load.
class Processor {
 public:
  // Errors: NOT_FOUND (tokenizer.json or preprocessor missing), INVALID_ARGUMENT, UNIMPLEMENTED (names what
  // is not supported).
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);
  virtual ~Processor() = default;

  // Resize, crop, rescale, normalise. Errors: INVALID_ARGUMENT (a size the family refuses).
  virtual absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const = 0;

  // Chat template with the pictures first and the generation prompt at the end; placeholders expanded.
  virtual absl::StatusOr<std::vector<int32_t>> EncodePrompt(
      absl::string_view question, absl::Span<const ProcessedImage> images) const = 0;
  // Text as it is, without the template; placeholders in it are expanded. The tokenizer's special tokens are
  // put around unless the text begins with its bos_token.
  virtual absl::StatusOr<std::vector<int32_t>> EncodeRaw(absl::string_view text,
                                                         absl::Span<const ProcessedImage> images) const = 0;
  // Tokens of an answer that follows the prompt, with the end token.
  virtual std::vector<int32_t> EncodeResponse(absl::string_view answer) const = 0;
  // Special tokens are left out.
  virtual std::string Decode(absl::Span<const int32_t> tokens) const = 0;

  // Tokens that end a response.
  virtual const std::vector<int32_t>& end_tokens() const = 0;
  // bool [vocab_size]: ids that may be sampled; image placeholders, padding and ids past the tokenizer may
  // not.
  virtual at::Tensor AllowedTokens(int64_t vocab_size) const = 0;
  // Ids of the tokenizer go from 0 to below this.
  virtual int64_t tokenizer_size() const = 0;
  // SHA-256 of tokenizer.json.
  virtual const std::string& tokenizer_digest() const = 0;
};

// That every id of the tokenizer has an embedding: what brings the two together calls it. Errors:
// INVALID_ARGUMENT.
absl::Status CheckVocabulary(const Processor& processor, const VisionLanguageModel& model);

}  // namespace rein::models
