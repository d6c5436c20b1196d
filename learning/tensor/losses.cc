#include "learning/tensor/losses.h"

#include <ATen/ATen.h>

namespace rein::learning {

at::Tensor RewardLoss(const at::Tensor& better, const at::Tensor& worse, double regularization) {
  const at::Tensor ranking = -at::log_sigmoid(better - worse).mean();
  return ranking + regularization * at::cat({better, worse}).square().mean();
}

at::Tensor CostLoss(const at::Tensor& unsafe, const at::Tensor& safer, const at::Tensor& unsafe_sign,
                    const at::Tensor& safer_sign, double scale, double regularization) {
  const at::Tensor sign =
      -at::log_sigmoid(unsafe_sign * unsafe).mean() - at::log_sigmoid(safer_sign * safer).mean();
  const at::Tensor ranking = -at::log_sigmoid(unsafe - safer).mean();
  return scale * sign + ranking + regularization * at::cat({unsafe, safer}).square().mean();
}

at::Tensor DpoLoss(const at::Tensor& chosen, const at::Tensor& rejected) {
  return -at::log_sigmoid(chosen - rejected).mean();
}

at::Tensor PolicyTokenLoss(const at::Tensor& new_logprob, const at::Tensor& old_logprob,
                           const at::Tensor& behaviour, const at::Tensor& advantage, double clip_ratio,
                           double correction_cap) {
  const at::Tensor ratio = at::exp(new_logprob - old_logprob);
  const at::Tensor clipped = at::clamp(ratio, 1 - clip_ratio, 1 + clip_ratio);
  const at::Tensor correction = at::exp(old_logprob - behaviour).clamp_max(correction_cap);
  return -at::minimum(advantage * ratio, advantage * clipped) * correction;
}

at::Tensor CriticTokenLoss(const at::Tensor& value, const at::Tensor& old_value, const at::Tensor& returns,
                           double value_clip) {
  const at::Tensor clipped = at::minimum(at::maximum(value, old_value - value_clip), old_value + value_clip);
  return 0.5 * at::maximum((value - returns).square(), (clipped - returns).square());
}

}  // namespace rein::learning
