#include <c10/cuda/CUDAException.h>

#include <algorithm>

#include "kernels/cuda_block.cuh"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

constexpr int64_t kRowsOfPart = 64;
constexpr int64_t kMaxParts = 512;

int64_t RowsOfPart(int64_t rows) { return std::max(kRowsOfPart, (rows + kMaxParts - 1) / kMaxParts); }

// One block a row.
template <typename T>
__global__ void Forward(const T* x, const float* weight, int64_t hidden, float eps, T* y,
                        float* inverse_rms) {
  __shared__ float scratch[kBlock];
  const int64_t row = blockIdx.x;
  x += row * hidden;
  y += row * hidden;
  float squares = 0;
  for (int64_t i = threadIdx.x; i < hidden; i += kBlock) {
    const float value = static_cast<float>(x[i]);
    squares += value * value;
  }
  const float scale = 1.0f / sqrtf(BlockSum(squares, scratch) / static_cast<float>(hidden) + eps);
  for (int64_t i = threadIdx.x; i < hidden; i += kBlock) {
    y[i] = static_cast<T>(static_cast<float>(x[i]) * scale * weight[i]);
  }
  if (threadIdx.x == 0) inverse_rms[row] = scale;
}

// One block a row.
template <typename T>
__global__ void BackwardX(const T* grad, const T* x, const float* weight, const float* inverse_rms,
                          int64_t hidden, T* grad_x) {
  __shared__ float scratch[kBlock];
  const int64_t row = blockIdx.x, offset = row * hidden;
  const float scale = inverse_rms[row];
  float dot = 0;
  for (int64_t i = threadIdx.x; i < hidden; i += kBlock) {
    dot += static_cast<float>(grad[offset + i]) * weight[i] * static_cast<float>(x[offset + i]);
  }
  const float mean = BlockSum(dot, scratch) * scale * scale / static_cast<float>(hidden);
  for (int64_t i = threadIdx.x; i < hidden; i += kBlock) {
    const float direct = static_cast<float>(grad[offset + i]) * weight[i];
    grad_x[offset + i] = static_cast<T>(scale * (direct - static_cast<float>(x[offset + i]) * mean));
  }
}

// One thread a column of a part of the rows, in row order: no atomics, the same sum every time.
template <typename T>
__global__ void BackwardWeight(const T* grad, const T* x, const float* inverse_rms, int64_t rows,
                               int64_t hidden, int64_t rows_of_part, float* parts) {
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kBlock + threadIdx.x;
  if (column >= hidden) return;
  const int64_t begin = blockIdx.y * rows_of_part, end = min(rows, begin + rows_of_part);
  float sum = 0;
  for (int64_t row = begin; row < end; ++row) {
    const int64_t at = row * hidden + column;
    sum += static_cast<float>(grad[at]) * static_cast<float>(x[at]) * inverse_rms[row];
  }
  parts[blockIdx.y * hidden + column] = sum;
}

}  // namespace

int64_t RmsNormParts(int64_t rows) { return (rows + RowsOfPart(rows) - 1) / RowsOfPart(rows); }

template <typename T>
void RmsNormForwardCuda(const T* x, const float* weight, int64_t rows, int64_t hidden, float eps, T* y,
                        float* inverse_rms, cudaStream_t stream) {
  if (rows == 0) return;
  Forward<T><<<rows, kBlock, 0, stream>>>(x, weight, hidden, eps, y, inverse_rms);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void RmsNormBackwardCuda(const T* grad, const T* x, const float* weight, const float* inverse_rms,
                         int64_t rows, int64_t hidden, T* grad_x, float* grad_weight_parts,
                         cudaStream_t stream) {
  if (rows == 0) return;
  BackwardX<T><<<rows, kBlock, 0, stream>>>(grad, x, weight, inverse_rms, hidden, grad_x);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  const dim3 grid((hidden + kBlock - 1) / kBlock, RmsNormParts(rows));
  BackwardWeight<T>
      <<<grid, kBlock, 0, stream>>>(grad, x, inverse_rms, rows, hidden, RowsOfPart(rows), grad_weight_parts);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

#define REIN_INSTANTIATE(T)                                                                                  \
  template void RmsNormForwardCuda<T>(const T*, const float*, int64_t, int64_t, float, T*, float*,           \
                                      cudaStream_t);                                                         \
  template void RmsNormBackwardCuda<T>(const T*, const T*, const float*, const float*, int64_t, int64_t, T*, \
                                       float*, cudaStream_t);
REIN_INSTANTIATE(float)
REIN_INSTANTIATE(c10::BFloat16)
REIN_INSTANTIATE(c10::Half)
#undef REIN_INSTANTIATE

}  // namespace rein::kernels
