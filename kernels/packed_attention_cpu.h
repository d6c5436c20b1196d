// CPU implementation behind PackedAttention: blocks of queries times panels of
// keys. All tensors float32.
#pragma once

#include <cstdint>

#include "kernels/attention_cpu.h"

namespace rein::kernels {

// q: [T, heads, D]; k, v: [T, kv_heads, D]. The last two dimensions are
// contiguous, tokens `step` values apart.
struct PackedInputs {
  const float *q, *k, *v;
  int64_t q_step, k_step, v_step;
};

// `length` tokens from `begin` on, which are one sequence, and one head of keys
// and values.
struct PackedPart {
  int64_t begin, length, kv_head;
};

// Floats of scratch memory for sequences of up to `length` tokens.
int64_t PackedForwardScratch(const AttentionShape &shape, int64_t length);
int64_t PackedBackwardScratch(const AttentionShape &shape, int64_t length);

// Writes the part's query heads of out [T, heads, D] and of lse [T, heads], log
// of the softmax denominators, for the backward pass.
void PackedForwardPartCpu(const AttentionShape &shape, const PackedInputs &inputs, const PackedPart &part,
                          float *out, float *lse, float *memory);

// What the forward pass wrote, and the gradient of out; contiguous.
struct PackedResults {
  const float *out, *lse, *grad;
};
// Of q, k and v; contiguous.
struct PackedGradients {
  float *q, *k, *v;
};

// Writes the part's gradients: one head of k and v, its query heads of q.
void PackedBackwardPartCpu(const AttentionShape &shape, const PackedInputs &inputs,
                           const PackedResults &results, const PackedPart &part,
                           const PackedGradients &gradients, float *memory);

}  // namespace rein::kernels
