#include "models/clip/encoder.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::models {

at::Tensor CutPatches(const at::Tensor& pixels, int64_t patch_size) {
  const int64_t batch = pixels.size(0);
  const int64_t rows = pixels.size(2) / patch_size, columns = pixels.size(3) / patch_size;
  return pixels.slice(2, 0, rows * patch_size)
      .slice(3, 0, columns * patch_size)
      .reshape({batch, 3, rows, patch_size, columns, patch_size})
      .permute({0, 2, 4, 1, 3, 5})
      .reshape({batch, rows * columns, -1});
}

LayerNorm AddLayerNorm(const std::string& prefix, int64_t size, double eps, Parameters& parameters) {
  return {.weight = parameters.Add(prefix + ".weight", {size}, Parameters::Fill::kOnes),
          .bias = parameters.Add(prefix + ".bias", {size}, Parameters::Fill::kZeros),
          .eps = eps};
}

at::Tensor Apply(const LayerNorm& norm, const at::Tensor& x) {
  return at::layer_norm(x, norm.weight.sizes(), norm.weight, norm.bias, norm.eps);
}

ClipEncoder::ClipEncoder(const ClipVisionConfig& config, const std::string& prefix, Parameters& parameters)
    : config_(config) {
  const double deviation = config.initializer_range, eps = config.layer_norm_eps;
  const int64_t hidden = config.hidden, inner = config.intermediate;
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string block_prefix = absl::StrCat(prefix, i, ".");
    const std::string attention = block_prefix + "self_attn.";
    Block block;
    block.norm1 = AddLayerNorm(block_prefix + "layer_norm1", hidden, eps, parameters);
    block.qkv = parameters.AddJoined(
        {{attention + "q_proj", hidden}, {attention + "k_proj", hidden}, {attention + "v_proj", hidden}},
        hidden, true, deviation);
    block.output = parameters.AddLinear(attention + "out_proj", hidden, hidden, true, deviation);
    block.norm2 = AddLayerNorm(block_prefix + "layer_norm2", hidden, eps, parameters);
    block.fc1 = parameters.AddLinear(block_prefix + "mlp.fc1", inner, hidden, true, deviation);
    block.fc2 = parameters.AddLinear(block_prefix + "mlp.fc2", hidden, inner, true, deviation);
    blocks_.push_back(std::move(block));
  }
}

at::Tensor ClipEncoder::Attend(const Block& block, const at::Tensor& normed) const {
  const int64_t batch = normed.size(0), tokens = normed.size(1);
  const at::Tensor qkv = Apply(block.qkv, normed)
                             .view({batch, tokens, 3, config_.heads, -1})
                             .permute({2, 0, 3, 1, 4});  // [3, B, heads, tokens, head_dim]
  const at::Tensor attended = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
  return Apply(block.output, attended.transpose(1, 2).reshape({batch, tokens, config_.hidden}));
}

at::Tensor ClipEncoder::Run(int64_t layer, const at::Tensor& x) const {
  const Block& block = blocks_[static_cast<size_t>(layer)];
  const at::Tensor after = x + Attend(block, Apply(block.norm1, x));
  const at::Tensor inner = Activate(config_.activation, Apply(block.fc1, Apply(block.norm2, after)));
  return after + Apply(block.fc2, inner);
}

}  // namespace rein::models
