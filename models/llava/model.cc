#include "models/llava/model.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/status.h"
#include "models/llama/config.h"
#include "models/llava/names.h"

namespace rein::models {

LlavaModel::LlavaModel(const LlavaConfig& config, Origin origin)
    : DecoderModel("llava", config.image_token_id, std::move(origin)),
      config_(config),
      vision_(config, parameters()) {
  AddDecoder(config.text, {.prefix = "language_model.model.", .head = "language_model.lm_head.weight"});
}

absl::StatusOr<std::unique_ptr<DecoderModel>> LlavaModel::Make(Origin origin) {
  REIN_ASSIGN_OR_RETURN(const LlavaConfig config, ParseLlavaConfig(origin.json, origin.where));
  return std::unique_ptr<DecoderModel>(new LlavaModel(config, std::move(origin)));
}

std::vector<ImageFeatures> LlavaModel::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  const at::Tensor encoded = vision_.Encode(Numbers(images, device()));
  std::vector<ImageFeatures> features;
  for (at::Tensor& picture : encoded.unbind(0)) features.push_back({.features = std::move(picture)});
  return features;
}

std::string LlavaModel::CanonicalName(absl::string_view name) const { return CanonicalLlavaName(name); }

bool LlavaModel::IsDerived(absl::string_view canonical_name) const {
  return IsDerivedLlavaBuffer(canonical_name);
}

std::string LlavaModel::VisionPartOf(absl::string_view tensor_name) const {
  return LlavaVisionPart(tensor_name);
}

std::string LlavaModel::RenderConfig(const Json& json, const std::string& dtype) const {
  return RenderConfigJson(json, config_.text, dtype);
}

}  // namespace rein::models
