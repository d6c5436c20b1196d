// CPU implementation behind PagedAttention. All tensors float32, contiguous.
#pragma once

#include <cstdint>

namespace rein::kernels {

struct AttentionShape {
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t head_dim = 0;
  float scale = 1;
};

// One new token of one sequence: attends to `context` tokens whose keys and
// values stand in blocks. q, out: [heads, D] of this token. block_table: its
// sequence's blocks. scratch: [context].
void PagedTokenCpu(const AttentionShape &shape, const float *q, const float *key_cache,
                   const float *value_cache, const int32_t *block_table, int64_t block_tokens,
                   int64_t context, float *out, float *scratch);

}  // namespace rein::kernels
