#include "models/clip/vision_tower.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/ops.h"

namespace rein::models {
namespace {

constexpr char kPrefix[] = "vision_tower.vision_model.";

}  // namespace

ClipVisionTower::ClipVisionTower(const ClipVisionConfig& config, Parameters& parameters) : config_(config) {
  using Fill = Parameters::Fill;
  const double deviation = config.initializer_range;
  const std::string embeddings = absl::StrCat(kPrefix, "embeddings.");
  class_embedding_ =
      parameters.Add(embeddings + "class_embedding", {config.hidden}, Fill::kNormal, deviation);
  patch_embedding_ =
      parameters.Add(embeddings + "patch_embedding.weight",
                     {config.hidden, 3, config.patch_size, config.patch_size}, Fill::kNormal, deviation);
  position_embedding_ = parameters.Add(embeddings + "position_embedding.weight",
                                       {1 + config.patches(), config.hidden}, Fill::kNormal, deviation);
  pre_norm_ = AddNorm(absl::StrCat(kPrefix, "pre_layrnorm"), parameters);
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = absl::StrCat(kPrefix, "encoder.layers.", i, ".");
    const std::string attention = prefix + "self_attn.";
    Block block;
    block.norm1 = AddNorm(prefix + "layer_norm1", parameters);
    block.qkv = parameters.AddJoined({{attention + "q_proj", config.hidden},
                                      {attention + "k_proj", config.hidden},
                                      {attention + "v_proj", config.hidden}},
                                     config.hidden, true, deviation);
    block.output =
        parameters.AddLinear(attention + "out_proj", config.hidden, config.hidden, true, deviation);
    block.norm2 = AddNorm(prefix + "layer_norm2", parameters);
    block.fc1 = parameters.AddLinear(prefix + "mlp.fc1", config.intermediate, config.hidden, true, deviation);
    block.fc2 = parameters.AddLinear(prefix + "mlp.fc2", config.hidden, config.intermediate, true, deviation);
    blocks_.push_back(std::move(block));
  }
  // Part of every checkpoint, but no feature that LLaVA takes comes after it.
  AddNorm(absl::StrCat(kPrefix, "post_layernorm"), parameters);
}

ClipVisionTower::Norm ClipVisionTower::AddNorm(const std::string& prefix, Parameters& parameters) const {
  return {parameters.Add(prefix + ".weight", {config_.hidden}, Parameters::Fill::kOnes),
          parameters.Add(prefix + ".bias", {config_.hidden}, Parameters::Fill::kZeros)};
}

at::Tensor ClipVisionTower::Apply(const Norm& norm, const at::Tensor& x) const {
  return at::layer_norm(x, {config_.hidden}, norm.weight, norm.bias, config_.layer_norm_eps);
}

// The convolution's stride is its kernel size, so it is one matrix product over the patches.
at::Tensor ClipVisionTower::Embed(const at::Tensor& pixels) const {
  const int64_t batch = pixels.size(0);
  const int64_t side = config_.image_size / config_.patch_size;
  const int64_t used = side * config_.patch_size;
  const at::Tensor patches = pixels.to(patch_embedding_.scalar_type())
                                 .slice(2, 0, used)
                                 .slice(3, 0, used)
                                 .reshape({batch, 3, side, config_.patch_size, side, config_.patch_size})
                                 .permute({0, 2, 4, 1, 3, 5})
                                 .reshape({batch, side * side, -1});
  const at::Tensor embedded = kernels::Linear(patches, patch_embedding_.flatten(1));
  const at::Tensor classes = class_embedding_.expand({batch, 1, config_.hidden});
  return at::cat({classes, embedded}, 1) + position_embedding_;
}

at::Tensor ClipVisionTower::Attend(const Block& block, const at::Tensor& normed) const {
  const int64_t batch = normed.size(0), tokens = normed.size(1);
  const at::Tensor qkv = models::Apply(block.qkv, normed)
                             .view({batch, tokens, 3, config_.heads, -1})
                             .permute({2, 0, 3, 1, 4});  // [3, B, heads, tokens, head_dim]
  const at::Tensor attended = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  return models::Apply(block.output, attended.transpose(1, 2).reshape({batch, tokens, config_.hidden}));
}

at::Tensor ClipVisionTower::Run(const Block& block, const at::Tensor& x) const {
  const at::Tensor after = x + Attend(block, Apply(block.norm1, x));
  const at::Tensor inner = Activate(config_.activation, models::Apply(block.fc1, Apply(block.norm2, after)));
  return after + models::Apply(block.fc2, inner);
}

std::vector<at::Tensor> ClipVisionTower::HiddenStates(const at::Tensor& pixels,
                                                      const std::vector<int64_t>& layers) const {
  const int64_t last = *std::max_element(layers.begin(), layers.end());
  std::vector<at::Tensor> states = {Apply(pre_norm_, Embed(pixels))};
  for (int64_t i = 0; i < last; ++i) states.push_back(Run(blocks_[i], states.back()));
  std::vector<at::Tensor> chosen;
  for (int64_t layer : layers) chosen.push_back(states[layer]);
  return chosen;
}

}  // namespace rein::models
