#include "kernels/linear_cpu.h"

#include <bit>
#include <cstring>

#include "kernels/cpu_math.h"

namespace rein::kernels {
namespace {

// Registers of the level x86-64-v3; the compiler joins or splits them for others.
using Floats = float __attribute__((vector_size(32)));
using Words = uint32_t __attribute__((vector_size(32)));

constexpr int64_t kWidth = sizeof(Floats) / sizeof(float);
constexpr int64_t kTileRows = 3, kTileOuts = 4;  // twelve sums in registers, of sixteen

int64_t Padded(int64_t n) { return (n + kLinearStep - 1) / kLinearStep * kLinearStep; }

// A bfloat16 is the upper half of a float32: a word holds an even value in its lower half and an odd one in
// its upper half.
template <int kRows, int kOuts>
[[gnu::always_inline]] inline void AddStep(const float* x, int64_t x_stride, const uint16_t* weight,
                                           int64_t weight_stride, Floats (&sums)[kRows][kOuts]) {
#pragma GCC unroll 4
  for (int o = 0; o < kOuts; ++o) {
    Words words;
    std::memcpy(&words, weight + o * weight_stride, sizeof(words));
    const auto even = reinterpret_cast<Floats>(words << 16),
               odd = reinterpret_cast<Floats>(words & 0xffff0000u);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      Floats x_even, x_odd;
      std::memcpy(&x_even, x + r * x_stride, sizeof(x_even));
      std::memcpy(&x_odd, x + r * x_stride + kWidth, sizeof(x_odd));
      sums[r][o] += even * x_even;
      sums[r][o] += odd * x_odd;
    }
  }
}

// kRows x kOuts results.
template <int kRows, int kOuts>
[[gnu::always_inline]] inline void Tile(const float* x, const uint16_t* weight, int64_t in, float* y,
                                        int64_t y_stride) {
  const int64_t x_stride = Padded(in), whole = in / kLinearStep * kLinearStep;
  Floats sums[kRows][kOuts] = {};
  for (int64_t i = 0; i < whole; i += kLinearStep)
    AddStep<kRows, kOuts>(x + i, x_stride, weight + i, in, sums);
  if (whole < in) {
    uint16_t rest[kOuts][kLinearStep] = {};
    for (int o = 0; o < kOuts; ++o)
      std::memcpy(rest[o], weight + o * in + whole, static_cast<size_t>(in - whole) * sizeof(uint16_t));
    AddStep<kRows, kOuts>(x + whole, x_stride, rest[0], kLinearStep, sums);
  }
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kOuts; ++o) {
      float sum = 0;
      for (int64_t l = 0; l < kWidth; ++l) sum += sums[r][o][l];
      y[r * y_stride + o] = sum;
    }
  }
}

// All rows of kOuts columns of the result.
template <int kOuts>
[[gnu::always_inline]] inline void Columns(const float* x, int64_t rows, const uint16_t* weight, int64_t in,
                                           float* y, int64_t y_stride) {
  const int64_t stride = Padded(in);
  int64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows)
    Tile<kTileRows, kOuts>(x + r * stride, weight, in, y + r * y_stride, y_stride);
  if (rows - r == 2) Tile<2, kOuts>(x + r * stride, weight, in, y + r * y_stride, y_stride);
  if (rows - r == 1) Tile<1, kOuts>(x + r * stride, weight, in, y + r * y_stride, y_stride);
}

}  // namespace

void SplitPairsCpu(const uint16_t* values, int64_t n, float* out) {
  for (int64_t i = 0; i < Padded(n); ++i) {
    const int64_t within = i % kLinearStep, at = i - within + within / 2 + within % 2 * kWidth;
    out[at] = i < n ? std::bit_cast<float>(static_cast<uint32_t>(values[i]) << 16) : 0.0f;
  }
}

REIN_VECTORIZED
void LinearRowsCpu(const float* x, int64_t rows, const uint16_t* weight, int64_t outs, int64_t in, float* y,
                   int64_t y_stride) {
  int64_t o = 0;
  for (; o + kTileOuts <= outs; o += kTileOuts)
    Columns<kTileOuts>(x, rows, weight + o * in, in, y + o, y_stride);
  for (; o < outs; ++o) Columns<1>(x, rows, weight + o * in, in, y + o, y_stride);
}

}  // namespace rein::kernels
