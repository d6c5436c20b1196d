// Matrix products with bfloat16 weights for few rows: the weights are read once, as they lie in memory.
#pragma once

#include <cstdint>

namespace rein::kernels {

inline constexpr int64_t kLinearStep = 16;  // columns

// `n` bfloat16 values as float32 in the order that LinearRowsCpu reads: of every kLinearStep values the eight
// at even places before the eight at odd ones. Writes n rounded up to a multiple of kLinearStep, the rest 0.
void SplitPairsCpu(const uint16_t* values, int64_t n, float* out);

// y[r * y_stride + o] = sum over i of x[r][i] * weight[o][i], in float32, for r < rows and o < outs. x: rows
// from SplitPairsCpu, end to end; weight: bfloat16 [outs, in].
void LinearRowsCpu(const float* x, int64_t rows, const uint16_t* weight, int64_t outs, int64_t in, float* y,
                   int64_t y_stride);

}  // namespace rein::kernels
