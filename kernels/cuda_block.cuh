// What the CUDA kernels share: blocks of a fixed size and their reductions. Sums run in float32 (sampling:
// double) and in the same order every time.
#pragma once

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstdint>

namespace rein::kernels {

constexpr int kBlock = 256;  // threads of every block

// Combines `value` over the block; every thread gets the result. scratch: [kBlock], shared.
template <typename T, typename Combine>
__device__ T BlockReduce(T value, T* scratch, Combine combine) {
  __syncthreads();  // scratch may still be read, from the reduction before
  scratch[threadIdx.x] = value;
  __syncthreads();
  for (int half = kBlock / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) scratch[threadIdx.x] = combine(scratch[threadIdx.x], scratch[threadIdx.x + half]);
    __syncthreads();
  }
  return scratch[0];
}

template <typename T>
__device__ T BlockSum(T value, T* scratch) {
  return BlockReduce(value, scratch, [](T a, T b) { return a + b; });
}

template <typename T>
__device__ T BlockMax(T value, T* scratch) {
  return BlockReduce(value, scratch, [](T a, T b) { return a > b ? a : b; });
}

}  // namespace rein::kernels
