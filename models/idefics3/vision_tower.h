// Idefics3's vision transformer: SigLIP's, with positions for square frames of any size.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/clip/config.h"
#include "models/clip/encoder.h"
#include "models/parameters.h"

namespace rein::models {

class Idefics3VisionTower {
 public:
  // Adds its tensors as "model.vision_model.…".
  Idefics3VisionTower(const ClipVisionConfig& config, Parameters& parameters);

  // pixels: [B, 3, side, side], any side of at least a patch -> [B, (side / patch_size)^2, hidden], row by
  // row. Every frame sees only itself.
  at::Tensor Encode(const at::Tensor& pixels) const;

 private:
  ClipVisionConfig config_;
  Linear patch_embedding_;
  at::Tensor position_embedding_;
  ClipEncoder encoder_;
  LayerNorm post_norm_;
};

// Rows of the position embedding, which has `table_side`^2, for a frame with `side_patches` patches along its
// side: int64 [side_patches^2]. The frame is stretched over the table; a frame of the table's own size does
// not always get 0, 1, 2, …, because the fractions are in float32, as in transformers.
at::Tensor Idefics3PositionRows(int64_t side_patches, int64_t table_side);

}  // namespace rein::models
