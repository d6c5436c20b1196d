// Tensor operations that Rein runs often enough to write itself. Each has a CPU and a CUDA implementation
// behind one dispatcher entry (namespace rein), chosen by the device of its arguments; shapes and dtypes are
// checked in one place. All are differentiable where a gradient makes sense. Bad shapes and dtypes throw
// c10::Error: callers inside actors turn that into a Status at their border.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace rein::kernels {

// log softmax(logits / temperature)[targets] and the entropy of that distribution, in one pass over the
// logits. logits: float32, bfloat16 or float16 [T, V]. targets: int64 [T]. allowed: bool [V] or undefined;
// ids that are not allowed have probability 0 (a target must be allowed). Returns float32 [T] each, nats.
// Gradient with respect to logits, through both.
struct LogProbEntropy {
  at::Tensor logprob;
  at::Tensor entropy;
};
LogProbEntropy LogProbAndEntropy(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                                 const at::Tensor& allowed);

// x * weight^T + bias. x: [..., in]; weight: [out, in]; bias: [out] or undefined; one dtype. Returns [...,
// out]. ATen's, but for bfloat16 on processors without instructions for it: there sums are in float32,
// rounded once.
at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias = {});

// x / sqrt(mean(x^2) + eps) * weight over the last dimension, computed in float32. x: [..., H]; weight: [H].
at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps);

// Rotates pairs (i, i + D/2) of each head, as Llama does ("rotate half"). x: [T, heads, D]; cos, sin: float32
// [T, D].
at::Tensor Rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin);

// silu(gate) * up, where gate is the first half of each row and up the second. gate_up: [T, 2 * W]. Returns
// [T, W]. One pass over float32 on the CPU, ATen's operations elsewhere.
at::Tensor SiluProduct(const at::Tensor& gate_up);

// Draws one token a row from softmax(logits / temperature) restricted to the allowed ids; temperature 0 takes
// the largest logit (lowest id among equals). logits: float32 [T, V]; random_bits: int64 [T], reinterpreted
// as uint64: one counter-based draw a row (see base/hash.h). top_p in (0, 1], top_k >= 0 (0: off). The
// log-probability is that of the distribution drawn from before top-k and top-p. Returns token int64 [T],
// logprob float32 [T].
struct SampledTokens {
  at::Tensor token;
  at::Tensor logprob;
};
SampledTokens SampleTokens(const at::Tensor& logits, double temperature, const at::Tensor& allowed,
                           const at::Tensor& random_bits, double top_p = 1.0, int64_t top_k = 0);

// Causal attention over packed sequences, without padding. q: [T, Hq, D]; k, v: [T, Hkv, D] with Hq a
// multiple of Hkv, all of one dtype; cu_seqlens: B + 1 offsets from 0 to T. D at most 256 on CUDA. Returns
// [T, Hq, D]. Differentiable.
at::Tensor PackedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<int64_t>& cu_seqlens, double scale);

// Attention of new tokens over a paged KV cache that already holds them. q: [T, Hq, D], the new tokens of all
// sequences end to end. key_cache, value_cache: [blocks, block_tokens, Hkv, D] of q's dtype (on the CPU
// float32). block_tables: int32 [B, max_blocks] (CPU); query_lens, context_lens: new tokens and all tokens
// (new ones included) of each sequence. No gradient.
at::Tensor PagedAttention(const at::Tensor& q, const at::Tensor& key_cache, const at::Tensor& value_cache,
                          const at::Tensor& block_tables, const std::vector<int64_t>& query_lens,
                          const std::vector<int64_t>& context_lens, double scale);

}  // namespace rein::kernels
