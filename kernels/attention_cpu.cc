#include "kernels/attention_cpu.h"

#include "kernels/cpu_math.h"

namespace rein::kernels {

REIN_VECTORIZED
void PackedForwardPartCpu(const AttentionShape& shape, int64_t begin, int64_t length, int64_t kv_head,
                          const float* q, const float* k, const float* v, float* out, float* lse,
                          float* scratch) {
  const int64_t d = shape.head_dim, q_stride = shape.heads * d, kv_stride = shape.kv_heads * d;
  const int64_t group = shape.heads / shape.kv_heads;
  const float* keys = k + begin * kv_stride + kv_head * d;
  const float* values = v + begin * kv_stride + kv_head * d;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = (begin + i) * q_stride + head * d;
      for (int64_t j = 0; j <= i; ++j) scratch[j] = shape.scale * Dot(q + row, keys + j * kv_stride, d);
      const float max = Max(scratch, i + 1);
      const float sum = ExpShifted(scratch, i + 1, max);
      lse[(begin + i) * shape.heads + head] = max + std::log(sum);
      float* o = out + row;
      std::fill(o, o + d, 0.0f);
      for (int64_t j = 0; j <= i; ++j) Axpy(scratch[j] / sum, values + j * kv_stride, o, d);
    }
  }
}

REIN_VECTORIZED
void PackedBackwardPartCpu(const AttentionShape& shape, int64_t begin, int64_t length, int64_t kv_head,
                           const float* q, const float* k, const float* v, const float* out, const float* lse,
                           const float* grad, float* dq, float* dk, float* dv, float* scratch) {
  const int64_t d = shape.head_dim, q_stride = shape.heads * d, kv_stride = shape.kv_heads * d;
  const int64_t group = shape.heads / shape.kv_heads;
  const int64_t kv_offset = begin * kv_stride + kv_head * d;
  for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (int64_t i = 0; i < length; ++i) {
      const int64_t row = (begin + i) * q_stride + head * d;
      const float normalizer = lse[(begin + i) * shape.heads + head];
      for (int64_t j = 0; j <= i; ++j)
        scratch[j] = shape.scale * Dot(q + row, k + kv_offset + j * kv_stride, d);
      for (int64_t j = 0; j <= i; ++j) scratch[j] = FastExp(scratch[j] - normalizer);
      const float delta = Dot(grad + row, out + row, d);
      std::fill(dq + row, dq + row + d, 0.0f);
      for (int64_t j = 0; j <= i; ++j) {
        const int64_t other = kv_offset + j * kv_stride;
        const float dp = Dot(grad + row, v + other, d);
        const float ds = shape.scale * scratch[j] * (dp - delta);
        Axpy(scratch[j], grad + row, dv + other, d);
        Axpy(ds, k + other, dq + row, d);
        Axpy(ds, q + row, dk + other, d);
      }
    }
  }
}

REIN_VECTORIZED
void PagedTokenCpu(const AttentionShape& shape, const float* q, const float* key_cache,
                   const float* value_cache, const int32_t* block_table, int64_t block_tokens,
                   int64_t context, float* out, float* scratch) {
  const int64_t d = shape.head_dim, stride = shape.kv_heads * d;
  const int64_t group = shape.heads / shape.kv_heads;
  for (int64_t head = 0; head < shape.heads; ++head) {
    const int64_t kv_offset = (head / group) * d;
    for (int64_t j = 0; j < context; ++j) {
      const int64_t slot = block_table[j / block_tokens] * block_tokens + j % block_tokens;
      scratch[j] = shape.scale * Dot(q + head * d, key_cache + slot * stride + kv_offset, d);
    }
    const float sum = ExpShifted(scratch, context, Max(scratch, context));
    float* o = out + head * d;
    std::fill(o, o + d, 0.0f);
    for (int64_t j = 0; j < context; ++j) {
      const int64_t slot = block_table[j / block_tokens] * block_tokens + j % block_tokens;
      Axpy(scratch[j] / sum, value_cache + slot * stride + kv_offset, o, d);
    }
  }
}

}  // namespace rein::kernels
