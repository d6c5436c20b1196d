#include "models/clip/vision_tower.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/ops.h"

namespace rein::models {
namespace {

constexpr char kPrefix[] = "vision_tower.vision_model.";

at::Tensor AddEmbedding(const ClipVisionConfig& config, const char* name, const std::vector<int64_t>& shape,
                        Parameters& parameters) {
  return parameters.Add(absl::StrCat(kPrefix, "embeddings.", name), shape, Parameters::Fill::kNormal,
                        config.initializer_range);
}

}  // namespace

ClipVisionTower::ClipVisionTower(const ClipVisionConfig& config, Parameters& parameters)
    : config_(config),
      class_embedding_(AddEmbedding(config, "class_embedding", {config.hidden}, parameters)),
      patch_embedding_(AddEmbedding(config, "patch_embedding.weight",
                                    {config.hidden, 3, config.patch_size, config.patch_size}, parameters)),
      position_embedding_(AddEmbedding(config, "position_embedding.weight",
                                       {1 + config.patches(), config.hidden}, parameters)),
      pre_norm_(AddLayerNorm(absl::StrCat(kPrefix, "pre_layrnorm"), config.hidden, config.layer_norm_eps,
                             parameters)),
      encoder_(config, absl::StrCat(kPrefix, "encoder.layers."), parameters) {
  // Part of every checkpoint, but no feature that LLaVA takes comes after it.
  AddLayerNorm(absl::StrCat(kPrefix, "post_layernorm"), config.hidden, config.layer_norm_eps, parameters);
}

at::Tensor ClipVisionTower::Embed(const at::Tensor& pixels) const {
  const at::Tensor patches = CutPatches(pixels.to(patch_embedding_.scalar_type()), config_.patch_size);
  const at::Tensor embedded = kernels::Linear(patches, patch_embedding_.flatten(1));
  const at::Tensor classes = class_embedding_.expand({pixels.size(0), 1, config_.hidden});
  return at::cat({classes, embedded}, 1) + position_embedding_;
}

std::vector<at::Tensor> ClipVisionTower::HiddenStates(const at::Tensor& pixels,
                                                      const std::vector<int64_t>& layers) const {
  const int64_t last = *std::max_element(layers.begin(), layers.end());
  std::vector<at::Tensor> states = {Apply(pre_norm_, Embed(pixels))};
  for (int64_t i = 0; i < last; ++i) states.push_back(encoder_.Run(i, states.back()));
  std::vector<at::Tensor> chosen;
  for (int64_t layer : layers) chosen.push_back(states[layer]);
  return chosen;
}

}  // namespace rein::models
