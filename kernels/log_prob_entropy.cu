#include <c10/cuda/CUDAException.h>

#include "kernels/cuda_block.cuh"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

constexpr float kLowest = -3.4e38f;

// logits / T of one id, or what stands for an id that is not allowed.
template <typename T>
__device__ float Logit(const LogProbRows<T>& rows, const T* logits, int64_t id) {
  if (rows.allowed != nullptr && !rows.allowed[id]) return kLowest;
  return static_cast<float>(logits[id]) * rows.inverse_temperature;
}

// One block a row: the largest logit, then both sums.
template <typename T>
__global__ void Forward(LogProbRows<T> rows, float* logprob, float* entropy, float* normalizer) {
  __shared__ float scratch[kBlock];
  const int64_t row = blockIdx.x;
  const T* logits = rows.logits + row * rows.vocab;
  float max = kLowest;
  for (int64_t i = threadIdx.x; i < rows.vocab; i += kBlock) max = fmaxf(max, Logit(rows, logits, i));
  max = BlockMax(max, scratch);
  float sum = 0, weighted = 0;
  for (int64_t i = threadIdx.x; i < rows.vocab; i += kBlock) {
    const float shifted = fmaxf(Logit(rows, logits, i) - max, -1e4f);
    const float e = expf(shifted);
    sum += e;
    weighted += e * shifted;
  }
  sum = BlockSum(sum, scratch);
  weighted = BlockSum(weighted, scratch);
  if (threadIdx.x != 0) return;
  const float log_sum = logf(sum);
  logprob[row] = Logit(rows, logits, rows.targets[row]) - max - log_sum;
  entropy[row] = log_sum - weighted / sum;
  normalizer[row] = max + log_sum;
}

template <typename T>
__global__ void Backward(LogProbRows<T> rows, const float* normalizer, const float* entropy,
                         const float* grad_logprob, const float* grad_entropy, T* grad_logits) {
  const int64_t row = blockIdx.x, target = rows.targets[row];
  const T* logits = rows.logits + row * rows.vocab;
  for (int64_t i = threadIdx.x; i < rows.vocab; i += kBlock) {
    float grad = 0;
    if (rows.allowed == nullptr || rows.allowed[i]) {
      const float logp = Logit(rows, logits, i) - normalizer[row];
      // d logprob / d z = [i = target] - p; d entropy / d z = -p (logp + H), with z = logits / T.
      grad = -expf(logp) * (grad_logprob[row] + grad_entropy[row] * (logp + entropy[row]));
      if (i == target) grad += grad_logprob[row];
    }
    grad_logits[row * rows.vocab + i] = static_cast<T>(grad * rows.inverse_temperature);
  }
}

}  // namespace

template <typename T>
void LogProbForwardCuda(const LogProbRows<T>& rows, float* logprob, float* entropy, float* normalizer,
                        cudaStream_t stream) {
  if (rows.rows == 0) return;
  Forward<T><<<rows.rows, kBlock, 0, stream>>>(rows, logprob, entropy, normalizer);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void LogProbBackwardCuda(const LogProbRows<T>& rows, const float* normalizer, const float* entropy,
                         const float* grad_logprob, const float* grad_entropy, T* grad_logits,
                         cudaStream_t stream) {
  if (rows.rows == 0) return;
  Backward<T>
      <<<rows.rows, kBlock, 0, stream>>>(rows, normalizer, entropy, grad_logprob, grad_entropy, grad_logits);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

#define REIN_INSTANTIATE(T)                                                                             \
  template void LogProbForwardCuda<T>(const LogProbRows<T>&, float*, float*, float*, cudaStream_t);     \
  template void LogProbBackwardCuda<T>(const LogProbRows<T>&, const float*, const float*, const float*, \
                                       const float*, T*, cudaStream_t);
REIN_INSTANTIATE(float)
REIN_INSTANTIATE(c10::BFloat16)
REIN_INSTANTIATE(c10::Half)
#undef REIN_INSTANTIATE

}  // namespace rein::kernels
