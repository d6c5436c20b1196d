#include "models/llava/model.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/match.h"
#include "base/status.h"
#include "models/llama/config.h"
#include "models/llava/names.h"

namespace rein::models {

LlavaModel::LlavaModel(const LlavaConfig& config, Origin origin)
    : DecoderModel("llava", config.image_token_id, std::move(origin)),
      config_(config),
      tower_(config.vision, parameters()),
      linear1_(
          parameters().AddLinear("multi_modal_projector.linear_1", config.text.hidden,
                                 config.vision.hidden * static_cast<int64_t>(config.feature_layers.size()),
                                 config.projector_bias, config.text.initializer_range)),
      linear2_(parameters().AddLinear("multi_modal_projector.linear_2", config.text.hidden,
                                      config.text.hidden, config.projector_bias,
                                      config.text.initializer_range)) {
  AddDecoder(config.text, {.prefix = "language_model.model.", .head = "language_model.lm_head.weight"});
}

absl::StatusOr<std::unique_ptr<DecoderModel>> LlavaModel::Make(Origin origin) {
  REIN_ASSIGN_OR_RETURN(const LlavaConfig config, ParseLlavaConfig(origin.json, origin.where));
  return std::unique_ptr<DecoderModel>(new LlavaModel(config, std::move(origin)));
}

std::vector<ImageFeatures> LlavaModel::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  std::vector<at::Tensor> pixels;
  for (const ProcessedImage& image : images) pixels.push_back(image.pixels);
  const at::Tensor batch = at::cat(pixels).to(device());
  std::vector<at::Tensor> states = tower_.HiddenStates(batch, config_.feature_layers);
  at::Tensor chosen = states.size() == 1 ? states[0] : at::cat(states, -1);
  if (!config_.keep_class_token) chosen = chosen.slice(1, 1);
  const at::Tensor projected =
      Apply(linear2_, Activate(config_.projector_activation, Apply(linear1_, chosen)));
  std::vector<ImageFeatures> features;
  for (at::Tensor& picture : projected.unbind(0)) features.push_back({.features = std::move(picture)});
  return features;
}

std::string LlavaModel::CanonicalName(absl::string_view name) const { return CanonicalLlavaName(name); }

bool LlavaModel::IsDerived(absl::string_view canonical_name) const {
  return IsDerivedLlavaBuffer(canonical_name);
}

std::string LlavaModel::VisionPartOf(absl::string_view tensor_name) const {
  if (absl::StartsWith(tensor_name, "vision_tower.")) return "vision";
  return absl::StartsWith(tensor_name, "multi_modal_projector.") ? "projector" : "";
}

std::string LlavaModel::RenderConfig(const Json& json, const std::string& dtype) const {
  return RenderConfigJson(json, config_.text, dtype);
}

}  // namespace rein::models
