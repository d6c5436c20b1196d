// What the vision transformers of CLIP and SigLIP share: patches, layer norms, and blocks with the norm
// first.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "models/clip/config.h"
#include "models/parameters.h"

namespace rein::models {

// pixels: [B, 3, H, W] -> [B, H / patch_size * (W / patch_size), 3 * patch_size^2], row by row; pixels that
// fill no patch are left out. A convolution whose stride is its kernel size is a matrix product over them.
at::Tensor CutPatches(const at::Tensor& pixels, int64_t patch_size);

struct LayerNorm {
  at::Tensor weight, bias;  // [size]
  double eps = 1e-5;
};
LayerNorm AddLayerNorm(const std::string& prefix, int64_t size, double eps, Parameters& parameters);
// x: [..., size] -> the same.
at::Tensor Apply(const LayerNorm& norm, const at::Tensor& x);

class ClipEncoder {
 public:
  // Adds its tensors as "`prefix`0.layer_norm1.weight" and so on.
  ClipEncoder(const ClipVisionConfig& config, const std::string& prefix, Parameters& parameters);

  // x: [B, tokens, hidden] -> the same, after block `layer`. Every token sees all tokens of its picture.
  at::Tensor Run(int64_t layer, const at::Tensor& x) const;

 private:
  struct Block {
    LayerNorm norm1, norm2;
    JoinedLinear qkv;
    Linear output, fc1, fc2;
  };
  at::Tensor Attend(const Block& block, const at::Tensor& normed) const;

  ClipVisionConfig config_;
  std::vector<Block> blocks_;
};

}  // namespace rein::models
