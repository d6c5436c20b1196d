#include "models/qwen2_vl/vision_tower.h"

#include <ATen/ATen.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/ops.h"

namespace rein::models {
namespace {

constexpr double kNormEps = 1e-6;

// Row and column of every patch, in the order of merging: int64 [2, patches].
at::Tensor PatchPositions(const PatchGrid& grid, int64_t merge) {
  const auto in_merge_order = [&](const at::Tensor& plane) {
    return plane.expand({grid.rows, grid.columns})
        .reshape({grid.rows / merge, merge, grid.columns / merge, merge})
        .transpose(1, 2)
        .reshape({-1})
        .repeat({grid.times});
  };
  return at::stack({in_merge_order(at::arange(grid.rows, at::kLong).unsqueeze(1)),
                    in_merge_order(at::arange(grid.columns, at::kLong).unsqueeze(0))});
}

}  // namespace

Qwen2VlVisionTower::Qwen2VlVisionTower(const Qwen2VlVisionConfig& config, Parameters& parameters)
    : config_(config) {
  const double deviation = config.initializer_range;
  patch_embedding_ = parameters.Add("visual.patch_embed.proj.weight",
                                    {config.width, 3, config.frames, config.patch_size, config.patch_size},
                                    Parameters::Fill::kNormal, deviation);
  const int64_t inner = config.width * config.mlp_ratio;
  for (int64_t i = 0; i < config.layers; ++i) {
    const std::string prefix = absl::StrCat("visual.blocks.", i, ".");
    Block block;
    block.norm1 = AddNorm(prefix + "norm1", config.width, parameters);
    block.norm2 = AddNorm(prefix + "norm2", config.width, parameters);
    block.qkv = parameters.AddLinear(prefix + "attn.qkv", 3 * config.width, config.width, true, deviation);
    block.output = parameters.AddLinear(prefix + "attn.proj", config.width, config.width, true, deviation);
    block.fc1 = parameters.AddLinear(prefix + "mlp.fc1", inner, config.width, true, deviation);
    block.fc2 = parameters.AddLinear(prefix + "mlp.fc2", config.width, inner, true, deviation);
    blocks_.push_back(std::move(block));
  }
  const int64_t merged = config.width * config.merge_size * config.merge_size;
  merger_norm_ = AddNorm("visual.merger.ln_q", config.width, parameters);
  merger1_ = parameters.AddLinear("visual.merger.mlp.0", merged, merged, true, deviation);
  merger2_ = parameters.AddLinear("visual.merger.mlp.2", config.hidden, merged, true, deviation);
}

Qwen2VlVisionTower::Norm Qwen2VlVisionTower::AddNorm(const std::string& prefix, int64_t size,
                                                     Parameters& parameters) {
  return {parameters.Add(prefix + ".weight", {size}, Parameters::Fill::kOnes),
          parameters.Add(prefix + ".bias", {size}, Parameters::Fill::kZeros)};
}

at::Tensor Qwen2VlVisionTower::Apply(const Norm& norm, const at::Tensor& x) const {
  return at::layer_norm(x, {config_.width}, norm.weight, norm.bias, kNormEps);
}

// Half of a head's pairs turn with the row, the other half with the column.
Qwen2VlVisionTower::Rotation Qwen2VlVisionTower::RotationOf(absl::Span<const PatchGrid> grids,
                                                            at::Device device) const {
  std::vector<at::Tensor> positions;
  for (const PatchGrid& grid : grids) positions.push_back(PatchPositions(grid, config_.merge_size));
  const int64_t half = config_.head_dim() / 2;
  const at::Tensor exponents = at::arange(0, half, 2, at::kFloat) / static_cast<double>(half);
  const at::Tensor frequencies = at::reciprocal(at::pow(config_.rope_theta, exponents));
  const at::Tensor angles = at::cat(positions, 1).to(at::kFloat).unsqueeze(2) * frequencies;
  const at::Tensor all = at::cat({angles[0], angles[1], angles[0], angles[1]}, 1).to(device);
  return {all.cos(), all.sin()};
}

at::Tensor Qwen2VlVisionTower::Attend(const Block& block, const at::Tensor& normed, const Rotation& rotation,
                                      absl::Span<const int64_t> lengths) const {
  const int64_t heads = config_.heads, patches = normed.size(0);
  const at::Tensor qkv = models::Apply(block.qkv, normed).view({patches, 3 * heads, config_.head_dim()});
  const auto parts = qkv.split_with_sizes({2 * heads, heads}, 1);
  const at::Tensor turned = kernels::Rotary(parts[0], rotation.cos, rotation.sin);
  const auto qk = turned.split_with_sizes({heads, heads}, 1);
  const auto of_pictures = [&](const at::Tensor& x) {
    return x.split_with_sizes(at::IntArrayRef(lengths.data(), lengths.size()));
  };
  const auto queries = of_pictures(qk[0]), keys = of_pictures(qk[1]), values = of_pictures(parts[1]);
  std::vector<at::Tensor> attended;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const auto batch = [](const at::Tensor& x) {
      return x.transpose(0, 1).unsqueeze(0);
    };  // [1, heads, length, D]
    const at::Tensor mixed =
        at::scaled_dot_product_attention(batch(queries[i]), batch(keys[i]), batch(values[i]));
    attended.push_back(mixed[0].transpose(0, 1).reshape({lengths[i], config_.width}));
  }
  return models::Apply(block.output, at::cat(attended));
}

at::Tensor Qwen2VlVisionTower::Encode(const at::Tensor& patches, absl::Span<const PatchGrid> grids) const {
  std::vector<int64_t> lengths;  // of what attends to itself: the pictures, at each of their times
  for (const PatchGrid& grid : grids)
    lengths.insert(lengths.end(), static_cast<size_t>(grid.times), grid.rows * grid.columns);
  const Rotation rotation = RotationOf(grids, patches.device());
  // The convolution's stride is its kernel size, so it is one matrix product over the patches.
  at::Tensor x = kernels::Linear(patches.to(patch_embedding_.scalar_type()), patch_embedding_.flatten(1));
  for (const Block& block : blocks_) {
    x = x + Attend(block, Apply(block.norm1, x), rotation, lengths);
    const at::Tensor inner = models::Apply(block.fc1, Apply(block.norm2, x));
    x = x + models::Apply(block.fc2, Activate(config_.activation, inner));
  }
  const at::Tensor merged =
      Apply(merger_norm_, x).reshape({-1, config_.width * config_.merge_size * config_.merge_size});
  return models::Apply(merger2_, Activate(Activation::kGelu, models::Apply(merger1_, merged)));
}

}  // namespace rein::models
