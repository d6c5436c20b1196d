// Tokenizer, chat template and CLIP image processor of a LLaVA-1.5-layout folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "models/chat_template/prompt_template.h"
#include "models/clip/image_processor.h"
#include "models/llava/config.h"
#include "models/processor_base.h"

namespace rein::models {

class LlavaProcessor : public ProcessorBase {
 public:
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);

  absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const override;

 protected:
  absl::StatusOr<std::string> RenderPrompt(absl::string_view question, size_t images) const override;
  std::string AnswerPrefix() const override { return " "; }

 private:
  LlavaProcessor(TextSide text, PromptTemplate prompt, ClipImageProcessor images, const LlavaConfig& config)
      : ProcessorBase(std::move(text)),
        prompt_(std::move(prompt)),
        images_(std::move(images)),
        feature_count_(config.feature_count()) {}

  PromptTemplate prompt_;
  ClipImageProcessor images_;
  int64_t feature_count_;
};

}  // namespace rein::models
