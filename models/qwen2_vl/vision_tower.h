// Qwen2-VL's vision transformer and the merger behind it: pictures of any size, patch by patch.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "models/activation.h"
#include "models/parameters.h"

namespace rein::models {

// Defaults are those of transformers' Qwen2VLVisionConfig.
struct Qwen2VlVisionConfig {
  int64_t layers = 32;
  int64_t width = 1280;   // of the blocks
  int64_t hidden = 3584;  // of the features, the decoder's
  int64_t heads = 16;
  int64_t mlp_ratio = 4;
  int64_t patch_size = 14;  // pixels, square
  int64_t frames = 2;       // in a patch
  int64_t merge_size = 2;   // that many patches down and across become one feature
  Activation activation = Activation::kQuickGelu;
  double rope_theta = 10000.0;
  double initializer_range = 0.02;

  int64_t head_dim() const { return width / heads; }
  int64_t patch_values() const { return 3 * frames * patch_size * patch_size; }
};

// Patches of a picture: times, down, across; both of these multiples of merge_size.
struct PatchGrid {
  int64_t times = 1, rows = 0, columns = 0;
  int64_t patches() const { return times * rows * columns; }
};

class Qwen2VlVisionTower {
 public:
  // Adds its tensors as "visual.…".
  Qwen2VlVisionTower(const Qwen2VlVisionConfig& config, Parameters& parameters);

  // patches: [N, patch_values], the patches of all pictures end to end, squares of merge_size^2 side by side.
  // Features of all pictures end to end, [N / merge_size^2, hidden]. Every picture sees only itself.
  at::Tensor Encode(const at::Tensor& patches, absl::Span<const PatchGrid> grids) const;

 private:
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Block {
    Norm norm1, norm2;
    Linear qkv, output, fc1, fc2;
  };
  struct Rotation {
    at::Tensor cos, sin;  // float32 [N, head_dim]
  };
  static Norm AddNorm(const std::string& prefix, int64_t size, Parameters& parameters);
  at::Tensor Apply(const Norm& norm, const at::Tensor& x) const;
  Rotation RotationOf(absl::Span<const PatchGrid> grids, at::Device device) const;
  at::Tensor Attend(const Block& block, const at::Tensor& normed, const Rotation& rotation,
                    absl::Span<const int64_t> lengths) const;

  Qwen2VlVisionConfig config_;
  at::Tensor patch_embedding_;
  std::vector<Block> blocks_;
  Norm merger_norm_;
  Linear merger1_, merger2_;
};

}  // namespace rein::models
