// CPU implementations of the operations that work row by row. All pointers float32 unless said otherwise.
#pragma once

#include <cstdint>

namespace rein::kernels {

// One row of LogProbAndEntropy. logits: [vocab]; allowed: [vocab] or null; scratch: [vocab].
// Returns through the pointers: log-probability of `target`, entropy, and log of the softmax denominator (of
// logits / T).
void LogProbRowCpu(const float* logits, const bool* allowed, int64_t vocab, int64_t target,
                   float inverse_temperature, float* logprob, float* entropy, float* normalizer,
                   float* scratch);
// Gradient of the same row: grad_logits = d(grad_logprob * logprob + grad_entropy * entropy) / d logits.
void LogProbRowBackwardCpu(const float* logits, const bool* allowed, int64_t vocab, int64_t target,
                           float inverse_temperature, float normalizer, float entropy, float grad_logprob,
                           float grad_entropy, float* grad_logits);

// y = x * inverse_rms * weight; returns inverse_rms = 1 / sqrt(mean(x^2) + eps).
float RmsNormRowCpu(const float* x, const float* weight, int64_t hidden, float eps, float* y);
// grad_x of the row; adds the row's part to grad_weight.
void RmsNormRowBackwardCpu(const float* x, const float* weight, const float* grad, int64_t hidden,
                           float inverse_rms, float* grad_x, float* grad_weight);

// y [width] = silu(gate) * up of a row of gate and up, `width` values each, and the gradient of that row.
void SiluProductRowCpu(const float* gate_up, int64_t width, float* y);
void SiluProductRowBackwardCpu(const float* gate_up, const float* grad, int64_t width, float* grad_gate_up);

// One head of one token, and the gradient with respect to x.
void RotaryRowCpu(const float* x, const float* cos, const float* sin, int64_t dim, float* y);
void RotaryRowBackwardCpu(const float* grad, const float* cos, const float* sin, int64_t dim, float* grad_x);

}  // namespace rein::kernels
