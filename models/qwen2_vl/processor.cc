#include "models/qwen2_vl/processor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/qwen2_vl/chat_template.h"

namespace rein::models {
namespace {

// The patches that pictures are cut into must be those that the vision tower takes.
absl::Status CheckPatches(const Qwen2VlImageProcessor& images, const Qwen2VlVisionConfig& vision,
                          const std::string& where) {
  const struct {
    const char* key;
    int64_t pictures, tower;
  } sizes[] = {{"patch_size", images.patch_size(), vision.patch_size},
               {"temporal_patch_size", images.temporal_patch_size(), vision.frames},
               {"merge_size", images.merge_size(), vision.merge_size}};
  for (const auto& size : sizes) {
    if (size.pictures == size.tower) continue;
    return absl::InvalidArgumentError(absl::StrCat(where, ": ", size.key, " is ", size.pictures,
                                                   ", the vision tower of config.json takes ", size.tower));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Processor>> Qwen2VlProcessor::Load(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadConfig(folder));
  const Fields root(json, (folder / "config.json").string());
  REIN_ASSIGN_OR_RETURN(const Qwen2VlConfig config, ParseQwen2VlConfig(json, root.where()));
  REIN_ASSIGN_OR_RETURN(TextSide text, ReadTextSide(folder, root, "image_token_id", config.image_token_id));
  REIN_ASSIGN_OR_RETURN(const ImageSettings settings, ReadImageSettings(folder));
  REIN_ASSIGN_OR_RETURN(Qwen2VlImageProcessor images,
                        Qwen2VlImageProcessor::Parse(Fields(settings.json, settings.where)));
  REIN_RETURN_IF_ERROR(CheckPatches(images, config.vision, settings.where));
  REIN_ASSIGN_OR_RETURN(PromptTemplate prompt,
                        PromptTemplate::Load(folder, kQwen2VlChatTemplate, text.image_text));
  return std::unique_ptr<Processor>(
      new Qwen2VlProcessor(std::move(text), std::move(prompt), std::move(images), config));
}

absl::StatusOr<ProcessedImage> Qwen2VlProcessor::ProcessImage(const data::RgbImage& image) const {
  return images_.Process(image);
}

absl::StatusOr<std::string> Qwen2VlProcessor::RenderPrompt(absl::string_view question, size_t images) const {
  return prompt_.Render(question, images);
}

}  // namespace rein::models
