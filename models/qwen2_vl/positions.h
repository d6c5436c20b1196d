// Qwen2-VL's multimodal positions: text counts on in all of three rows (time, down, across), a picture's
// features have their place in the picture.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "absl/types/span.h"
#include "models/decoder_input.h"
#include "models/qwen2_vl/vision_tower.h"

namespace rein::models {

// ids: int64 [T] on the CPU, `spans` end to end; grids in the order of their runs of placeholders, which lie
// within spans. Returns int64 [3, T]. Throws c10::Error when runs and grids disagree.
at::Tensor MropePositions(const at::Tensor& ids, int64_t image_token_id, absl::Span<const TokenSpan> spans,
                          absl::Span<const PatchGrid> grids, int64_t merge_size);

// How many positions a picture takes; its features may be more.
int64_t MropeExtent(const PatchGrid& grid, int64_t merge_size);

}  // namespace rein::models
