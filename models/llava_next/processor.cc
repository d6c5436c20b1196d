#include "models/llava_next/processor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/llava_next/chat_template.h"
#include "models/llava_next/config.h"

namespace rein::models {
namespace {

// The model must put together again what the image processor has cut.
absl::Status CheckTiling(const Tiling& pictures, const Tiling& model, const std::string& where) {
  if (pictures.tile_side != model.tile_side) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": tiles are ", pictures.tile_side,
                                                   " pixels wide (crop_size), the vision tower takes ",
                                                   model.tile_side));
  }
  if (pictures.pinpoints == model.pinpoints) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": image_grid_pinpoints are not those of config.json, in the same order"));
}

absl::StatusOr<LlavaNextImageProcessor> LoadImageProcessor(const std::filesystem::path& folder,
                                                           const LlavaNextConfig& config) {
  REIN_ASSIGN_OR_RETURN(const ImageSettings settings, ReadImageSettings(folder));
  REIN_ASSIGN_OR_RETURN(
      LlavaNextImageProcessor images,
      LlavaNextImageProcessor::Parse(Fields(settings.json, settings.where), config.llava.vision.patch_size,
                                     config.llava.feature_count()));
  REIN_RETURN_IF_ERROR(CheckTiling(images.tiling(), config.tiling, settings.where));
  return images;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Processor>> LlavaNextProcessor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadConfig(folder));
  const Fields root(json, (folder / "config.json").string());
  REIN_ASSIGN_OR_RETURN(const LlavaNextConfig config, ParseLlavaNextConfig(json, root.where()));
  const char* image_key = root.Has("image_token_id") ? "image_token_id" : "image_token_index";
  REIN_ASSIGN_OR_RETURN(TextSide text, ReadTextSide(folder, root, image_key, config.llava.image_token_id));
  REIN_ASSIGN_OR_RETURN(LlavaNextImageProcessor images, LoadImageProcessor(folder, config));
  REIN_ASSIGN_OR_RETURN(PromptTemplate prompt,
                        PromptTemplate::Load(folder, kLlavaNextChatTemplate, text.image_text));
  return std::unique_ptr<Processor>(
      new LlavaNextProcessor(std::move(text), std::move(prompt), std::move(images)));
}

absl::StatusOr<ProcessedImage> LlavaNextProcessor::ProcessImage(const data::RgbImage& image) const {
  return images_.Process(image);
}

absl::StatusOr<std::string> LlavaNextProcessor::RenderPrompt(absl::string_view question,
                                                             size_t images) const {
  return prompt_.Render(question, images);
}

}  // namespace rein::models
