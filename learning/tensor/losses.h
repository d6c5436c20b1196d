// Losses on tensors (docs/algorithm.md, losses; formulas as in Safe RLHF-V's released trainers).
#pragma once

#include <ATen/core/Tensor.h>

namespace rein::learning {

// Bradley-Terry: mean(-logsigmoid(better - worse)) + regularization * mean(score^2 over both). float32 [B]
// each.
at::Tensor RewardLoss(const at::Tensor& better, const at::Tensor& worse, double regularization);

// Cost: ranking term plus sign terms. unsafe, safer: float32 [B] scores; the signs s = -harmless_rate
// (graded) or its sign. scale * [mean(-logsigmoid(s_hi C_hi)) + mean(-logsigmoid(s_lo C_lo))] +
// mean(-logsigmoid(C_hi - C_lo))
//   + regularization * mean(C^2).
at::Tensor CostLoss(const at::Tensor& unsafe, const at::Tensor& safer, const at::Tensor& unsafe_sign,
                    const at::Tensor& safer_sign, double scale, double regularization);

// Direct preference optimisation: mean(-logsigmoid(chosen - rejected)) over implicit rewards beta (log p -
// log p_ref) of whole answers. float32 [B] each.
at::Tensor DpoLoss(const at::Tensor& chosen, const at::Tensor& rejected);

// Clipped surrogate, one value a token, to be weighted and summed: -min(A rho, A clip(rho)) * correction with
// rho = exp(new - old), correction = min(exp(old - behaviour), cap). All float32 [N]; gradient through
// `new_logprob` only.
at::Tensor PolicyTokenLoss(const at::Tensor& new_logprob, const at::Tensor& old_logprob,
                           const at::Tensor& behaviour, const at::Tensor& advantage, double clip_ratio,
                           double correction_cap);

// 0.5 max((V - Ret)^2, (clip(V, V_old +- value_clip) - Ret)^2), one value a token. float32 [N].
at::Tensor CriticTokenLoss(const at::Tensor& value, const at::Tensor& old_value, const at::Tensor& returns,
                           double value_clip);

}  // namespace rein::learning
