#include "kernels/attention_cpu.h"

#include "kernels/cpu_math.h"

namespace rein::kernels {

REIN_VECTORIZED
void PagedTokenCpu(const AttentionShape &shape, const float *q, const float *key_cache,
                   const float *value_cache, const int32_t *block_table, int64_t block_tokens,
                   int64_t context, float *out, float *scratch) {
  const int64_t d = shape.head_dim, stride = shape.kv_heads * d;
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = 0; head < shape.heads; ++head) {
    const int64_t kv_offset = (head / group) * d;
    for (int64_t j = 0; j < context; ++j) {
      const int64_t slot = block_table[j / block_tokens] * block_tokens + j % block_tokens;
      scratch[j] = shape.scale * Dot(q + head * d, key_cache + slot * stride + kv_offset, d);
    }
    const float sum = ExpShifted(scratch, context, Max(scratch, context));
    float *o = out + head * d;
    std::fill(o, o + d, 0.0f);
    for (int64_t j = 0; j < context; ++j) {
      const int64_t slot = block_table[j / block_tokens] * block_tokens + j % block_tokens;
      Axpy(scratch[j] / sum, value_cache + slot * stride + kv_offset, o, d);
    }
  }
}

}  // namespace rein::kernels
