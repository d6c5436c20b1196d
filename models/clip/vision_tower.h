// The CLIP vision transformer, as far as its chosen hidden states need it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/activation.h"
#include "models/parameters.h"

namespace rein::models {

// Defaults are those of transformers' CLIPVisionConfig.
struct ClipVisionConfig {
  int64_t hidden = 768;
  int64_t intermediate = 3072;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t image_size = 224;  // pixels, square
  int64_t patch_size = 32;
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  double initializer_range = 0.02;

  int64_t patches() const { return (image_size / patch_size) * (image_size / patch_size); }
};

class ClipVisionTower {
 public:
  // Adds its tensors as "vision_tower.vision_model.…".
  ClipVisionTower(const ClipVisionConfig& config, Parameters& parameters);

  // pixels: [B, 3, image_size, image_size]. Hidden states after `layers` blocks (0: before the first), each
  // [B, 1 + patches, hidden] with the class token first, in the order asked for. Blocks after the last one
  // are not run.
  std::vector<at::Tensor> HiddenStates(const at::Tensor& pixels, const std::vector<int64_t>& layers) const;

 private:
  struct Norm {
    at::Tensor weight, bias;
  };
  struct Block {
    Norm norm1, norm2;
    JoinedLinear qkv;
    Linear output, fc1, fc2;
  };
  Norm AddNorm(const std::string& prefix, Parameters& parameters) const;
  at::Tensor Apply(const Norm& norm, const at::Tensor& x) const;
  at::Tensor Embed(const at::Tensor& pixels) const;
  at::Tensor Attend(const Block& block, const at::Tensor& normed) const;
  at::Tensor Run(const Block& block, const at::Tensor& x) const;

  ClipVisionConfig config_;
  at::Tensor class_embedding_, patch_embedding_, position_embedding_;
  Norm pre_norm_;
  std::vector<Block> blocks_;
};

}  // namespace rein::models
