// Tokenizer, chat template and image processor of an Idefics3 or SmolVLM folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/chat_template/prompt_template.h"
#include "models/image/idefics3_image_processor.h"
#include "models/processor_base.h"

namespace rein::models {

class Idefics3Processor : public ProcessorBase {
 public:
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);

  absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const override;

 protected:
  absl::StatusOr<std::string> RenderPrompt(absl::string_view question, size_t images) const override;
  std::string AnswerPrefix() const override { return " "; }
  // Every frame has a mark in front of its image tokens, with its row and column or that of the whole
  // picture.
  std::vector<int32_t> Expand(const ProcessedImage& image) const override;
  // These marks: only Expand writes them.
  std::vector<int32_t> MaskedTokens() const override;

 private:
  Idefics3Processor(TextSide text, PromptTemplate prompt, Idefics3ImageProcessor images)
      : ProcessorBase(std::move(text)), prompt_(std::move(prompt)), images_(std::move(images)) {}

  PromptTemplate prompt_;
  Idefics3ImageProcessor images_;
};

}  // namespace rein::models
