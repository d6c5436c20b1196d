// Small loops that the compiler turns into vector instructions without reordering sums from run to run: the
// result of a row depends on nothing but the row.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

// One copy of the function for each level of the instruction set; the loader picks the best one that the
// processor has. Levels, not processors: "arch=haswell" is taken by Haswells only.
#define REIN_VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

namespace rein::kernels {

// exp(x) for x <= 0 or moderate x, relative error under 3e-7; 0 below -87. Branch-free, so that loops over it
// vectorise.
inline float FastExp(float x) {
  const float clamped = std::min(std::max(x, -87.0f), 88.0f);
  const float n = std::floor(clamped * 1.44269504088896341f + 0.5f);
  const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float mantissa = p * r * r + r + 1.0f;
  const float power = std::bit_cast<float>((static_cast<int32_t>(n) + 127) << 23);
  return x < -87.0f ? 0.0f : mantissa * power;
}

constexpr int64_t kLanes = 16;

// Sum of a[i] * b[i], in sixteen interleaved partial sums.
inline float Dot(const float* a, const float* b, int64_t n) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  }
  for (int64_t l = 0; i + l < n; ++l) lanes[l] += a[i + l] * b[i + l];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

inline void Axpy(float scale, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += scale * x[i];
}

inline float Max(const float* x, int64_t n) {
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, -std::numeric_limits<float>::infinity());
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  }
  for (int64_t l = 0; i + l < n; ++l) lanes[l] = x[i + l] > lanes[l] ? x[i + l] : lanes[l];
  return *std::max_element(lanes, lanes + kLanes);
}

// x[i] = exp(x[i] - shift); returns their sum.
inline float ExpShifted(float* x, int64_t n, float shift) {
  for (int64_t i = 0; i < n; ++i) x[i] = FastExp(x[i] - shift);
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l];
  }
  for (int64_t l = 0; i + l < n; ++l) lanes[l] += x[i + l];
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

}  // namespace rein::kernels
