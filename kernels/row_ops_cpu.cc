#include "kernels/row_ops_cpu.h"

#include "kernels/cpu_math.h"

namespace rein::kernels {

REIN_VECTORIZED
void LogProbRowCpu(const float* logits, const bool* allowed, int64_t vocab, int64_t target,
                   float inverse_temperature, float* logprob, float* entropy, float* normalizer,
                   float* scratch) {
  constexpr float kOut = -std::numeric_limits<float>::infinity();
  for (int64_t i = 0; i < vocab; ++i) scratch[i] = logits[i] * inverse_temperature;
  if (allowed != nullptr) {
    for (int64_t i = 0; i < vocab; ++i) scratch[i] = allowed[i] ? scratch[i] : kOut;
  }
  const float max = Max(scratch, vocab);
  const float target_logit = scratch[target] - max;
  float sum_lanes[kLanes] = {}, weighted_lanes[kLanes] = {};
  int64_t i = 0;
  const auto add = [&](int64_t at, int64_t lane) {
    const float shifted = std::max(scratch[at] - max, -1e4f);
    const float e = FastExp(shifted);
    sum_lanes[lane] += e;
    weighted_lanes[lane] += e * shifted;
  };
  for (; i + kLanes <= vocab; i += kLanes) {
    for (int64_t l = 0; l < kLanes; ++l) add(i + l, l);
  }
  for (int64_t l = 0; i + l < vocab; ++l) add(i + l, l);
  float sum = 0, weighted = 0;
  for (int64_t l = 0; l < kLanes; ++l) {
    sum += sum_lanes[l];
    weighted += weighted_lanes[l];
  }
  const float log_sum = std::log(sum);
  *logprob = target_logit - log_sum;
  *entropy = log_sum - weighted / sum;
  *normalizer = max + log_sum;
}

REIN_VECTORIZED
void LogProbRowBackwardCpu(const float* logits, const bool* allowed, int64_t vocab, int64_t target,
                           float inverse_temperature, float normalizer, float entropy, float grad_logprob,
                           float grad_entropy, float* grad_logits) {
  for (int64_t i = 0; i < vocab; ++i) {
    const float logp = logits[i] * inverse_temperature - normalizer;
    const float p = FastExp(logp);
    // d logprob / d z = [i = target] - p; d entropy / d z = -p (logp + H), with z = logits / T.
    grad_logits[i] = -inverse_temperature * p * (grad_logprob + grad_entropy * (logp + entropy));
  }
  if (allowed != nullptr) {
    for (int64_t i = 0; i < vocab; ++i) grad_logits[i] = allowed[i] ? grad_logits[i] : 0.0f;
  }
  grad_logits[target] += inverse_temperature * grad_logprob;
}

REIN_VECTORIZED
float RmsNormRowCpu(const float* x, const float* weight, int64_t hidden, float eps, float* y) {
  const float inverse_rms = 1.0f / std::sqrt(Dot(x, x, hidden) / static_cast<float>(hidden) + eps);
  for (int64_t i = 0; i < hidden; ++i) y[i] = x[i] * inverse_rms * weight[i];
  return inverse_rms;
}

REIN_VECTORIZED
void RmsNormRowBackwardCpu(const float* x, const float* weight, const float* grad, int64_t hidden,
                           float inverse_rms, float* grad_x, float* grad_weight) {
  for (int64_t i = 0; i < hidden; ++i) grad_x[i] = grad[i] * weight[i];
  const float mean = Dot(grad_x, x, hidden) * inverse_rms * inverse_rms / static_cast<float>(hidden);
  for (int64_t i = 0; i < hidden; ++i) {
    grad_weight[i] += grad[i] * x[i] * inverse_rms;
    grad_x[i] = inverse_rms * (grad_x[i] - x[i] * mean);
  }
}

REIN_VECTORIZED
void SiluProductRowCpu(const float* gate_up, int64_t width, float* y) {
  const float *gate = gate_up, *up = gate_up + width;
  for (int64_t i = 0; i < width; ++i) y[i] = gate[i] / (1.0f + FastExp(-gate[i])) * up[i];
}

REIN_VECTORIZED
void SiluProductRowBackwardCpu(const float* gate_up, const float* grad, int64_t width, float* grad_gate_up) {
  const float *gate = gate_up, *up = gate_up + width;
  float *grad_gate = grad_gate_up, *grad_up = grad_gate_up + width;
  for (int64_t i = 0; i < width; ++i) {
    const float sigmoid = 1.0f / (1.0f + FastExp(-gate[i]));
    grad_gate[i] = grad[i] * up[i] * sigmoid * (1.0f + gate[i] * (1.0f - sigmoid));
    grad_up[i] = grad[i] * gate[i] * sigmoid;
  }
}

REIN_VECTORIZED
void RotaryRowCpu(const float* x, const float* cos, const float* sin, int64_t dim, float* y) {
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    y[i] = x[i] * cos[i] - x[i + half] * sin[i];
    y[i + half] = x[i + half] * cos[i + half] + x[i] * sin[i + half];
  }
}

REIN_VECTORIZED
void RotaryRowBackwardCpu(const float* grad, const float* cos, const float* sin, int64_t dim, float* grad_x) {
  const int64_t half = dim / 2;
  for (int64_t i = 0; i < half; ++i) {
    grad_x[i] = grad[i] * cos[i] + grad[i + half] * sin[i + half];
    grad_x[i + half] = grad[i + half] * cos[i + half] - grad[i] * sin[i];
  }
}

}  // namespace rein::kernels
