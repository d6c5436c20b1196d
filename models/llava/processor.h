// Tokenizer, chat template and CLIP image processor of a LLaVA-1.5-layout folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/clip/image_processor.h"
#include "models/llava/config.h"
#include "models/processor.h"
#include "models/tokenizer/tokenizer.h"

namespace rein::models {

class LlavaProcessor : public Processor {
 public:
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);

  absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const override;
  absl::StatusOr<std::vector<int32_t>> EncodePrompt(absl::string_view question,
                                                    absl::Span<const ProcessedImage> images) const override;
  absl::StatusOr<std::vector<int32_t>> EncodeRaw(absl::string_view text,
                                                 absl::Span<const ProcessedImage> images) const override;
  std::vector<int32_t> EncodeResponse(absl::string_view answer) const override;
  std::string Decode(absl::Span<const int32_t> tokens) const override;
  const std::vector<int32_t>& end_tokens() const override { return end_tokens_; }
  at::Tensor AllowedTokens(int64_t vocab_size) const override;
  const std::string& tokenizer_digest() const override { return digest_; }

 private:
  LlavaProcessor(Tokenizer tokenizer, ClipImageProcessor images, const LlavaConfig& config)
      : tokenizer_(std::move(tokenizer)),
        images_(std::move(images)),
        feature_count_(config.feature_count()),
        image_token_(static_cast<int32_t>(config.image_token_id)) {}
  absl::Status FindSpecialTokens(const std::filesystem::path& folder, const Fields& config);

  Tokenizer tokenizer_;
  ClipImageProcessor images_;
  int64_t feature_count_;
  int32_t image_token_;
  std::string image_text_;
  std::vector<int32_t> end_tokens_, pad_tokens_;
  std::string digest_;
};

}  // namespace rein::models
