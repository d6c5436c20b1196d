// Whether values are finite, at the speed of memory.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace rein::models {

// How many values are NaN or infinite. values: float64, float32, bfloat16 or float16, contiguous, on the CPU.
int64_t CountNotFinite(const at::Tensor& values);

}  // namespace rein::models
