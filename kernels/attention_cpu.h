// CPU implementations behind PackedAttention and PagedAttention. All tensors float32, contiguous.
#pragma once

#include <cstdint>

namespace rein::kernels {

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1;
};

// One sequence and one head of keys and values. q, out: [T, heads, D]; k, v: [T, kv_heads, D]; all from token
// `begin` on, `length` tokens. lse: [T, heads], log of the softmax denominators, for the backward pass.
// scratch: [length].
void PackedForwardPartCpu(const AttentionShape& shape, int64_t begin, int64_t length, int64_t kv_head,
                          const float* q, const float* k, const float* v, float* out, float* lse,
                          float* scratch);

// Gradients of the same part; dk and dv of this kv head are written, dq of its query heads as well. scratch:
// [2 * length].
void PackedBackwardPartCpu(const AttentionShape& shape, int64_t begin, int64_t length, int64_t kv_head,
                           const float* q, const float* k, const float* v, const float* out, const float* lse,
                           const float* grad, float* dq, float* dk, float* dv, float* scratch);

// One new token of one sequence: attends to `context` tokens whose keys and values stand in blocks. q, out:
// [heads, D] of this token. block_table: its sequence's blocks. scratch: [context].
void PagedTokenCpu(const AttentionShape& shape, const float* q, const float* key_cache,
                   const float* value_cache, const int32_t* block_table, int64_t block_tokens,
                   int64_t context, float* out, float* scratch);

}  // namespace rein::kernels
