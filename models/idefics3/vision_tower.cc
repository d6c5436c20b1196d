#include "models/idefics3/vision_tower.h"

#include <ATen/ATen.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/ops.h"

namespace rein::models {
namespace {

constexpr char kEmbeddings[] = "model.vision_model.embeddings.";

// A convolution whose stride is its kernel size. No LinearLayer: its weight has four dimensions.
Linear AddPatchEmbedding(const ClipVisionConfig& config, Parameters& parameters) {
  const std::string prefix = absl::StrCat(kEmbeddings, "patch_embedding");
  return {
      .weight = parameters.Add(prefix + ".weight", {config.hidden, 3, config.patch_size, config.patch_size},
                               Parameters::Fill::kNormal, config.initializer_range),
      .bias = parameters.Add(prefix + ".bias", {config.hidden}, Parameters::Fill::kZeros)};
}

}  // namespace

at::Tensor Idefics3PositionRows(int64_t side_patches, int64_t table_side) {
  const double step = 1.0 / static_cast<double>(table_side);
  const at::Tensor boundaries = at::arange(step, 1.0, step, at::kFloat);
  const at::Tensor fractions =
      at::arange(side_patches, at::kFloat) * at::reciprocal(at::full({1}, side_patches, at::kFloat));
  const at::Tensor rows =
      at::bucketize(fractions.clamp_max(1.0 - 1e-6), boundaries, /*out_int32=*/false, /*right=*/true);
  return (rows.unsqueeze(1) * table_side + rows.unsqueeze(0)).flatten();
}

Idefics3VisionTower::Idefics3VisionTower(const ClipVisionConfig& config, Parameters& parameters)
    : config_(config),
      patch_embedding_(AddPatchEmbedding(config, parameters)),
      position_embedding_(parameters.Add(absl::StrCat(kEmbeddings, "position_embedding.weight"),
                                         {config.patches(), config.hidden}, Parameters::Fill::kNormal,
                                         config.initializer_range)),
      encoder_(config, "model.vision_model.encoder.layers.", parameters),
      post_norm_(AddLayerNorm("model.vision_model.post_layernorm", config.hidden, config.layer_norm_eps,
                              parameters)) {}

at::Tensor Idefics3VisionTower::Encode(const at::Tensor& pixels) const {
  const at::Tensor& weight = patch_embedding_.weight;
  const at::Tensor patches = CutPatches(pixels.to(weight.scalar_type()), config_.patch_size);
  const at::Tensor rows =
      Idefics3PositionRows(pixels.size(2) / config_.patch_size, config_.side_patches()).to(weight.device());
  at::Tensor x = kernels::Linear(patches, weight.flatten(1), patch_embedding_.bias) +
                 at::embedding(position_embedding_, rows);
  for (int64_t i = 0; i < config_.layers; ++i) x = encoder_.Run(i, x);
  return Apply(post_norm_, x);
}

}  // namespace rein::models
