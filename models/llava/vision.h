// What LLaVA-1.5 and LLaVA-NeXT make of pictures before they part: CLIP hidden states, two-layer projector.
#pragma once

#include <ATen/core/Tensor.h>

#include "models/clip/vision_tower.h"
#include "models/llava/config.h"
#include "models/parameters.h"

namespace rein::models {

class LlavaVision {
 public:
  // Adds "vision_tower.…" and "multi_modal_projector.…".
  LlavaVision(const LlavaConfig& config, Parameters& parameters);

  // pixels: [N, 3, image_size, image_size] -> [N, config.feature_count(), config.text.hidden];
  // differentiable.
  at::Tensor Encode(const at::Tensor& pixels) const;

 private:
  LlavaConfig config_;
  ClipVisionTower tower_;
  Linear linear1_, linear2_;
};

}  // namespace rein::models
