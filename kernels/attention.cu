// Plain kernels: one block for each token and head, softmax kept up to date from one tile of keys to the
// next, so that nothing of the size [T, T] is stored. No tensor cores.
#include <c10/cuda/CUDAException.h>

#include "kernels/cuda_block.cuh"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

template <typename T>
__device__ void Load(const T* row, int64_t dim, float* shared) {
  if (threadIdx.x < dim) shared[threadIdx.x] = static_cast<float>(row[threadIdx.x]);
  __syncthreads();
}

template <typename T>
__device__ float Dot(const float* a, const T* b, int64_t dim) {
  float sum = 0;
  for (int64_t d = 0; d < dim; ++d) sum += a[d] * static_cast<float>(b[d]);
  return sum;
}

// One query over `count` keys; key j begins at k + row(j), its value at v + row(j). Threads are keys while a
// tile is weighed and dimensions while its values are added up. Returns the log of the softmax denominator.
template <typename T, typename Row>
__device__ float Attend(const T* q, const T* k, const T* v, Row row, int64_t count, int64_t dim, float scale,
                        T* out) {
  __shared__ float scratch[kBlock], weights[kBlock], query[kMaxHeadDim];
  Load(q, dim, query);
  float max = -3.4e38f, sum = 0, value = 0;
  for (int64_t base = 0; base < count; base += kBlock) {
    const int64_t key = base + threadIdx.x;
    const bool in = key < count;
    const float score = in ? scale * Dot(query, k + row(key), dim) : -3.4e38f;
    const float new_max = fmaxf(max, BlockMax(score, scratch));
    weights[threadIdx.x] = in ? expf(score - new_max) : 0.0f;
    const float rescale = expf(max - new_max);
    sum = sum * rescale + BlockSum(weights[threadIdx.x], scratch);
    value *= rescale;
    if (threadIdx.x < dim) {
      for (int64_t j = base; j < min(count, base + kBlock); ++j) {
        value += weights[j - base] * static_cast<float>(v[row(j) + threadIdx.x]);
      }
    }
    max = new_max;
  }
  if (threadIdx.x < dim) out[threadIdx.x] = static_cast<T>(value / sum);
  return max + logf(sum);
}

template <typename T>
__global__ void PackedForward(AttentionSizes sizes, PackedBounds bounds, const T* q, const T* k, const T* v,
                              T* out, float* lse) {
  const int64_t token = blockIdx.x, head = blockIdx.y, dim = sizes.head_dim;
  const int64_t kv_head = head / (sizes.heads / sizes.kv_heads), begin = bounds.begins[token];
  const int64_t at = (token * sizes.heads + head) * dim;
  const auto row = [&](int64_t key) { return ((begin + key) * sizes.kv_heads + kv_head) * dim; };
  const float normalizer = Attend(q + at, k, v, row, token - begin + 1, dim, sizes.scale, out + at);
  if (threadIdx.x == 0) lse[token * sizes.heads + head] = normalizer;
}

template <typename T>
__global__ void PagedForward(AttentionSizes sizes, PagedTables paged, const T* q, const T* k, const T* v,
                             T* out) {
  const int64_t token = blockIdx.x, head = blockIdx.y, dim = sizes.head_dim;
  const int64_t kv_head = head / (sizes.heads / sizes.kv_heads);
  const int64_t at = (token * sizes.heads + head) * dim;
  const int32_t* table = paged.tables + paged.sequence[token] * paged.max_blocks;
  const auto row = [&](int64_t key) {
    const int64_t slot = table[key / paged.block_tokens] * paged.block_tokens + key % paged.block_tokens;
    return (slot * sizes.kv_heads + kv_head) * dim;
  };
  Attend(q + at, k, v, row, paged.context[token], dim, sizes.scale, out + at);
}

// dq of one token and head, and delta = grad . out, which the gradients of keys and values need as well.
template <typename T>
__global__ void BackwardQueries(AttentionSizes sizes, PackedBounds bounds, const T* q, const T* k, const T* v,
                                const T* out, const float* lse, const T* grad, float* delta, T* dq) {
  __shared__ float scratch[kBlock], weights[kBlock], query[kMaxHeadDim], gradient[kMaxHeadDim];
  const int64_t token = blockIdx.x, head = blockIdx.y, dim = sizes.head_dim;
  const int64_t kv_head = head / (sizes.heads / sizes.kv_heads), begin = bounds.begins[token];
  const int64_t row = token * sizes.heads + head, at = row * dim;
  const auto key_row = [&](int64_t key) { return (key * sizes.kv_heads + kv_head) * dim; };
  Load(q + at, dim, query);
  Load(grad + at, dim, gradient);
  const bool is_dim = threadIdx.x < dim;
  const float product = is_dim ? gradient[threadIdx.x] * static_cast<float>(out[at + threadIdx.x]) : 0.0f;
  const float d = BlockSum(product, scratch);
  float sum = 0;
  for (int64_t base = begin; base <= token; base += kBlock) {
    const int64_t key = base + threadIdx.x;
    __syncthreads();  // weights may still be read, for the tile before
    if (key <= token) {
      const float p = expf(sizes.scale * Dot(query, k + key_row(key), dim) - lse[row]);
      weights[threadIdx.x] = sizes.scale * p * (Dot(gradient, v + key_row(key), dim) - d);
    }
    __syncthreads();
    for (int64_t j = base; is_dim && j < min(token + 1, base + kBlock); ++j) {
      sum += weights[j - base] * static_cast<float>(k[key_row(j) + threadIdx.x]);
    }
  }
  if (is_dim) dq[at + threadIdx.x] = static_cast<T>(sum);
  if (threadIdx.x == 0) delta[row] = d;
}

// dk and dv of one token and head of keys: from all later queries of its sequence, head by head, in order.
template <typename T>
__global__ void BackwardKeys(AttentionSizes sizes, PackedBounds bounds, const T* q, const T* k, const T* v,
                             const float* lse, const T* grad, const float* delta, T* dk, T* dv) {
  __shared__ float for_key[kBlock], for_value[kBlock], key[kMaxHeadDim], value[kMaxHeadDim];
  const int64_t token = blockIdx.x, kv_head = blockIdx.y, dim = sizes.head_dim;
  const int64_t group = sizes.heads / sizes.kv_heads, end = bounds.ends[token];
  const int64_t at = (token * sizes.kv_heads + kv_head) * dim;
  Load(k + at, dim, key);
  Load(v + at, dim, value);
  float key_sum = 0, value_sum = 0;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t base = token; base < end; base += kBlock) {
      const int64_t query = base + threadIdx.x, row = query * sizes.heads + head;
      __syncthreads();  // the weights may still be read, for the tile before
      if (query < end) {
        const float p = expf(sizes.scale * Dot(key, q + row * dim, dim) - lse[row]);
        for_value[threadIdx.x] = p;
        for_key[threadIdx.x] = sizes.scale * p * (Dot(value, grad + row * dim, dim) - delta[row]);
      }
      __syncthreads();
      for (int64_t i = base; threadIdx.x < dim && i < min(end, base + kBlock); ++i) {
        const int64_t other = (i * sizes.heads + head) * dim + threadIdx.x;
        key_sum += for_key[i - base] * static_cast<float>(q[other]);
        value_sum += for_value[i - base] * static_cast<float>(grad[other]);
      }
    }
  }
  if (threadIdx.x < dim) {
    dk[at + threadIdx.x] = static_cast<T>(key_sum);
    dv[at + threadIdx.x] = static_cast<T>(value_sum);
  }
}

}  // namespace

template <typename T>
void PackedForwardCuda(const AttentionSizes& sizes, const PackedBounds& bounds, const T* q, const T* k,
                       const T* v, T* out, float* lse, cudaStream_t stream) {
  if (sizes.tokens == 0) return;
  const dim3 grid(sizes.tokens, sizes.heads);
  PackedForward<T><<<grid, kBlock, 0, stream>>>(sizes, bounds, q, k, v, out, lse);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void PackedBackwardCuda(const AttentionSizes& sizes, const PackedBounds& bounds, const T* q, const T* k,
                        const T* v, const T* out, const float* lse, const T* grad, float* delta, T* dq, T* dk,
                        T* dv, cudaStream_t stream) {
  if (sizes.tokens == 0) return;
  const dim3 queries(sizes.tokens, sizes.heads), keys(sizes.tokens, sizes.kv_heads);
  BackwardQueries<T><<<queries, kBlock, 0, stream>>>(sizes, bounds, q, k, v, out, lse, grad, delta, dq);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
  BackwardKeys<T><<<keys, kBlock, 0, stream>>>(sizes, bounds, q, k, v, lse, grad, delta, dk, dv);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

template <typename T>
void PagedForwardCuda(const AttentionSizes& sizes, const PagedTables& paged, const T* q, const T* key_cache,
                      const T* value_cache, T* out, cudaStream_t stream) {
  if (sizes.tokens == 0) return;
  const dim3 grid(sizes.tokens, sizes.heads);
  PagedForward<T><<<grid, kBlock, 0, stream>>>(sizes, paged, q, key_cache, value_cache, out);
  C10_CUDA_KERNEL_LAUNCH_CHECK();
}

#define REIN_INSTANTIATE(T)                                                                                  \
  template void PackedForwardCuda<T>(const AttentionSizes&, const PackedBounds&, const T*, const T*,         \
                                     const T*, T*, float*, cudaStream_t);                                    \
  template void PackedBackwardCuda<T>(const AttentionSizes&, const PackedBounds&, const T*, const T*,        \
                                      const T*, const T*, const float*, const T*, float*, T*, T*, T*,        \
                                      cudaStream_t);                                                         \
  template void PagedForwardCuda<T>(const AttentionSizes&, const PagedTables&, const T*, const T*, const T*, \
                                    T*, cudaStream_t);
REIN_INSTANTIATE(float)
REIN_INSTANTIATE(c10::BFloat16)
REIN_INSTANTIATE(c10::Half)
#undef REIN_INSTANTIATE

}  // namespace rein::kernels
