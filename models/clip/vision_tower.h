// The CLIP vision transformer, as far as its chosen hidden states need it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/clip/config.h"
#include "models/clip/encoder.h"
#include "models/parameters.h"

namespace rein::models {

class ClipVisionTower {
 public:
  // Adds its tensors as "vision_tower.vision_model.…".
  ClipVisionTower(const ClipVisionConfig& config, Parameters& parameters);

  // pixels: [B, 3, image_size, image_size]. Hidden states after `layers` blocks (0: before the first), each
  // [B, 1 + patches, hidden] with the class token first, in the order asked for. Blocks after the last one
  // are not run.
  std::vector<at::Tensor> HiddenStates(const at::Tensor& pixels, const std::vector<int64_t>& layers) const;

 private:
  at::Tensor Embed(const at::Tensor& pixels) const;

  ClipVisionConfig config_;
  at::Tensor class_embedding_, patch_embedding_, position_embedding_;
  LayerNorm pre_norm_;
  ClipEncoder encoder_;
};

}  // namespace rein::models
