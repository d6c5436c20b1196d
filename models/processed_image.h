// Pictures between image processor and vision tower.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/types/span.h"

namespace rein::models {

// A picture as an image processor makes it.
struct ProcessedImage {
  // [tiles, 3, H, W] (families that cut patches themselves: [patches, values], channel by channel).
  // uint8: levels, which take a quarter of the memory and which Numbers makes numbers of. float32: numbers.
  at::Tensor pixels;
  int64_t feature_count = 0;    // placeholders that this picture takes in the prompt
  int64_t grid[3] = {0, 0, 0};  // family specific (t, h, w), 0 where unused
  // float32 [3, 256], on the CPU: what each level of a channel becomes. Undefined where `pixels` are numbers.
  at::Tensor tables;
};

// What the vision tower takes: the pixels of all pictures, end to end, as float32 on `device`. Levels travel
// there as they are. Throws c10::Error when there is no picture, or when shapes do not go together.
at::Tensor Numbers(absl::Span<const ProcessedImage> images, at::Device device = at::kCPU);

// levels: uint8 [rows, ...] on any device, tables: float32 [3, 256] -> float32 of the shape of `levels`.
// Numbers does the same on the CPU in one pass.
at::Tensor LookUp(const at::Tensor& levels, const at::Tensor& tables);

}  // namespace rein::models
