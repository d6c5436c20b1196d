// CUDA implementations: launches on `stream`, on device memory that is contiguous. T is float, c10::BFloat16
// or c10::Half. Results mean what those of the CPU implementations mean. Launch failures throw c10::Error.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>

namespace rein::kernels {

// logits: [rows, vocab]; targets: [rows]; allowed: [vocab] or null.
template <typename T>
struct LogProbRows {
  const T* logits;
  const int64_t* targets;
  const bool* allowed;
  int64_t rows;
  int64_t vocab;
  float inverse_temperature;
};
// logprob, entropy, normalizer: [rows].
template <typename T>
void LogProbForwardCuda(const LogProbRows<T>& rows, float* logprob, float* entropy, float* normalizer,
                        cudaStream_t stream);
// grad_logits: [rows, vocab]; the others: [rows].
template <typename T>
void LogProbBackwardCuda(const LogProbRows<T>& rows, const float* normalizer, const float* entropy,
                         const float* grad_logprob, const float* grad_entropy, T* grad_logits,
                         cudaStream_t stream);

// x, y: [rows, hidden]; weight: [hidden]; inverse_rms: [rows].
template <typename T>
void RmsNormForwardCuda(const T* x, const float* weight, int64_t rows, int64_t hidden, float eps, T* y,
                        float* inverse_rms, cudaStream_t stream);
// How many partial sums of the weight's gradient RmsNormBackwardCuda writes.
int64_t RmsNormParts(int64_t rows);
// grad_weight_parts: [RmsNormParts(rows), hidden]; the gradient is their sum.
template <typename T>
void RmsNormBackwardCuda(const T* grad, const T* x, const float* weight, const float* inverse_rms,
                         int64_t rows, int64_t hidden, T* grad_x, float* grad_weight_parts,
                         cudaStream_t stream);

// x, y: [tokens, heads, dim]; cos, sin: [tokens, dim]. inverse: the gradient with respect to x.
template <typename T>
void RotaryCuda(const T* x, const float* cos, const float* sin, int64_t tokens, int64_t heads, int64_t dim,
                bool inverse, T* y, cudaStream_t stream);

// Probabilities relative to the greedy token. logits: [rows, vocab]; weights: [rows, vocab]; greedy, log_sum:
// [rows], log_sum that of the weights' sum.
void WeighCuda(const float* logits, const bool* allowed, int64_t rows, int64_t vocab, double temperature,
               double* weights, int64_t* greedy, double* log_sum, cudaStream_t stream);
// Token whose part of a row's cumulative weights holds the uniform draw of the row's bits. token: [rows].
void DrawCuda(const double* weights, const int64_t* bits, int64_t rows, int64_t vocab, int64_t* token,
              cudaStream_t stream);

constexpr int64_t kMaxHeadDim = 256;

struct AttentionSizes {
  int64_t tokens;
  int64_t heads;
  int64_t kv_heads;
  int64_t head_dim;  // at most kMaxHeadDim
  float scale;
};
// Where each token's sequence begins and ends. begins, ends: [tokens].
struct PackedBounds {
  const int32_t* begins;
  const int32_t* ends;
};
// q, out: [tokens, heads, head_dim]; k, v: [tokens, kv_heads, head_dim]; lse: [tokens, heads].
template <typename T>
void PackedForwardCuda(const AttentionSizes& sizes, const PackedBounds& bounds, const T* q, const T* k,
                       const T* v, T* out, float* lse, cudaStream_t stream);
// delta: [tokens, heads], scratch.
template <typename T>
void PackedBackwardCuda(const AttentionSizes& sizes, const PackedBounds& bounds, const T* q, const T* k,
                        const T* v, const T* out, const float* lse, const T* grad, float* delta, T* dq, T* dk,
                        T* dv, cudaStream_t stream);

// A cache of blocks. tables: [sequences, max_blocks]; sequence, context: [tokens], see PagedToken.
struct PagedTables {
  const int32_t* tables;
  int64_t max_blocks;
  int64_t block_tokens;
  const int32_t* sequence;
  const int32_t* context;
};
// key_cache, value_cache: [blocks, block_tokens, kv_heads, head_dim].
template <typename T>
void PagedForwardCuda(const AttentionSizes& sizes, const PagedTables& paged, const T* q, const T* key_cache,
                      const T* value_cache, T* out, cudaStream_t stream);

}  // namespace rein::kernels
