// Tokenizer, chat template and any-resolution image processor of a LLaVA-NeXT folder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "models/chat_template/prompt_template.h"
#include "models/image/llava_next_image_processor.h"
#include "models/processor_base.h"

namespace rein::models {

class LlavaNextProcessor : public ProcessorBase {
 public:
  static absl::StatusOr<std::unique_ptr<Processor>> Load(const std::filesystem::path& folder);

  absl::StatusOr<ProcessedImage> ProcessImage(const data::RgbImage& image) const override;

 protected:
  absl::StatusOr<std::string> RenderPrompt(absl::string_view question, size_t images) const override;
  std::string AnswerPrefix() const override { return " "; }

 private:
  LlavaNextProcessor(TextSide text, PromptTemplate prompt, LlavaNextImageProcessor images)
      : ProcessorBase(std::move(text)), prompt_(std::move(prompt)), images_(std::move(images)) {}

  PromptTemplate prompt_;
  LlavaNextImageProcessor images_;
};

}  // namespace rein::models
