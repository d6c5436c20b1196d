#include <c10/cuda/CUDAException.h>

#include <algorithm>

#include "kernels/cuda_block.cuh"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

constexpr int64_t kMaxBlocks = 65535;

// One thread a pair (i, i + dim / 2) of a head, grid-stride.
template <typename T>
__global__ void Rotate(const T* x, const float* cos, const float* sin, int64_t pairs, int64_t heads,
                       int64_t dim, bool inverse, T* y) {
  const int64_t half = dim / 2, stride = static_cast<int64_t>(gridDim.x) * kBlock;
  for (int64_t pair = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x; pair < pairs; pair += stride) {
    const int64_t head = pair / half, low = head * dim + pair % half, high = low + half;
    const int64_t angle = (head / heads) * dim + pair % half;
    const float a = static_cast<float>(x[low]), b = static_cast<float>(x[high]);
    const float cos_low = cos[angle], cos_high = cos[angle + half];
    const float sin_low = sin[angle], sin_high = sin[angle + half];
    y[low] = static_cast<T>(inverse ? a * cos_low + b * sin_high : a * cos_low - b * sin_low);
    y[high] = static_cast<T>(inverse ? b * cos_high - a * sin_low : b * cos_high + a * sin_high);
  }
}

}  // namespace

template <typename T>
void RotaryCuda(const T* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t dim,
                bool inverse, T* y, cudaStream_t stream) {
  const int64_t pairs = tokens * heads * (dim / 2);
  if (pairs == 0) return;
  const int64_t blocks = std::min(kMaxBlocks, (pairs + kBlock - 1) / kBlock);
  Rotate<T><<<blocks, kBlock, 0, stream>>>(x, cos, sin, pairs, heads, dim, inverse, y);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

#define REIN_INSTANTIATE(T)                                                                              \
  template void RotaryCuda<T>(const T*, const float*, const float*, int64_t, int64_t, int64_t, bool, T*, \
                              cudaStream_t);
REIN_INSTANTIATE(float)
REIN_INSTANTIATE(c10::BFloat16)
REIN_INSTANTIATE(c10::Half)
#undef REIN_INSTANTIATE

}  // namespace rein::kernels
