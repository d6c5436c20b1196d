#include "models/llava/processor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/llava/chat_template.h"

namespace rein::models {
namespace {

absl::StatusOr<ClipImageProcessor> LoadImageProcessor(const std::filesystem::path& folder,
                                                      const LlavaConfig& config) {
  REIN_ASSIGN_OR_RETURN(const ImageSettings settings, ReadImageSettings(folder));
  REIN_ASSIGN_OR_RETURN(ClipImageProcessor processor,
                        ClipImageProcessor::Parse(Fields(settings.json, settings.where)));
  const int64_t side = config.vision.image_size;
  if (processor.output_height() == side && processor.output_width() == side) return processor;
  return absl::InvalidArgumentError(absl::StrCat(
      settings.where, ": pictures come out as ", processor.output_height(), " x ", processor.output_width(),
      " (crop_size or size; 0: not fixed), the vision tower takes ", side, " x ", side));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Processor>> LlavaProcessor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadConfig(folder));
  const Fields root(json, (folder / "config.json").string());
  REIN_ASSIGN_OR_RETURN(const LlavaConfig config, ParseLlavaConfig(json, root.where()));
  const char* image_key = root.Has("image_token_id") ? "image_token_id" : "image_token_index";
  REIN_ASSIGN_OR_RETURN(TextSide text, ReadTextSide(folder, root, image_key, config.image_token_id));
  REIN_ASSIGN_OR_RETURN(ClipImageProcessor images, LoadImageProcessor(folder, config));
  REIN_ASSIGN_OR_RETURN(PromptTemplate prompt,
                        PromptTemplate::Load(folder, kLlava15ChatTemplate, text.image_text));
  return std::unique_ptr<Processor>(
      new LlavaProcessor(std::move(text), std::move(prompt), std::move(images), config));
}

absl::StatusOr<ProcessedImage> LlavaProcessor::ProcessImage(const data::RgbImage& image) const {
  REIN_ASSIGN_OR_RETURN(ProcessedImage processed, images_.Process(image));
  processed.feature_count = feature_count_;
  return processed;
}

absl::StatusOr<std::string> LlavaProcessor::RenderPrompt(absl::string_view question, size_t images) const {
  return prompt_.Render(question, images);
}

}  // namespace rein::models
