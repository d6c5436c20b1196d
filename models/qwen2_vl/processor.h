// Tokenizer, chat template and image processor of a Qwen2-VL folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/chat_template/prompt_template.h"
#include "models/image/qwen2_vl_image_processor.h"
#include "models/processor_base.h"
#include "models/qwen2_vl/config.h"

namespace rein::models {

class Qwen2VlProcessor : public ProcessorBase {
 public:
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);

  absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const override;

 protected:
  absl::StatusOr<std::string> RenderPrompt(absl::string_view question, size_t images) const override;
  std::vector<int32_t> MaskedTokens() const override { return {video_token_}; }

 private:
  Qwen2VlProcessor(TextSide text, PromptTemplate prompt, Qwen2VlImageProcessor images,
                   const Qwen2VlConfig& config)
      : ProcessorBase(std::move(text)),
        prompt_(std::move(prompt)),
        images_(std::move(images)),
        video_token_(static_cast<int32_t>(config.video_token_id)) {}

  PromptTemplate prompt_;
  Qwen2VlImageProcessor images_;
  int32_t video_token_;
};

}  // namespace rein::models
