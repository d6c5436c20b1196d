// CUDA entries of the operations that work row by row: memory and streams here, kernels in the .cu files.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/cuda_call.h"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

using c10::cuda::CUDAGuard;
using OptionalTensor = std::optional<at::Tensor>;

template <typename T>
LogProbRows<T> RowsOf(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                      const OptionalTensor& allowed) {
  return {logits.const_data_ptr<T>(),
          targets.const_data_ptr<int64_t>(),
          MaskPointer(allowed),
          logits.size(0),
          logits.size(1),
          static_cast<float>(1.0 / temperature)};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> LogProbForward(const at::Tensor& logits,
                                                              const at::Tensor& targets, double temperature,
                                                              const OptionalTensor& allowed) {
  const CUDAGuard guard(logits.device());
  const auto options = logits.options().dtype(at::kFloat);
  at::Tensor logprob = at::empty({logits.size(0)}, options), entropy = at::empty_like(logprob);
  at::Tensor normalizer = at::empty_like(logprob);
  ForFloatType(logits.scalar_type(), [&](auto zero) {
    LogProbForwardCuda(RowsOf<decltype(zero)>(logits, targets, temperature, allowed),
                       logprob.mutable_data_ptr<float>(), entropy.mutable_data_ptr<float>(),
                       normalizer.mutable_data_ptr<float>(), Stream());
  });
  return {logprob, entropy, normalizer};
}

at::Tensor LogProbBackward(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                           const OptionalTensor& allowed, const at::Tensor& normalizer,
                           const at::Tensor& entropy, const at::Tensor& grad_logprob,
                           const at::Tensor& grad_entropy) {
  const CUDAGuard guard(logits.device());
  at::Tensor grad = at::empty_like(logits);
  ForFloatType(logits.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    LogProbBackwardCuda(RowsOf<T>(logits, targets, temperature, allowed), normalizer.const_data_ptr<float>(),
                        entropy.const_data_ptr<float>(), grad_logprob.const_data_ptr<float>(),
                        grad_entropy.const_data_ptr<float>(), grad.mutable_data_ptr<T>(), Stream());
  });
  return grad;
}

std::tuple<at::Tensor, at::Tensor> RmsNormForward(const at::Tensor& x, const at::Tensor& weight, double eps) {
  const CUDAGuard guard(x.device());
  const at::Tensor w = weight.to(at::kFloat);
  const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, w.options());
  ForFloatType(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RmsNormForwardCuda(x.const_data_ptr<T>(), w.const_data_ptr<float>(), rows, hidden,
                       static_cast<float>(eps), y.mutable_data_ptr<T>(),
                       inverse_rms.mutable_data_ptr<float>(), Stream());
  });
  return {y, inverse_rms};
}

std::tuple<at::Tensor, at::Tensor> RmsNormBackward(const at::Tensor& grad, const at::Tensor& x,
                                                   const at::Tensor& weight, const at::Tensor& inverse_rms) {
  const CUDAGuard guard(x.device());
  const at::Tensor w = weight.to(at::kFloat);
  const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
  at::Tensor grad_x = at::empty_like(x), parts = at::empty({RmsNormParts(rows), hidden}, w.options());
  ForFloatType(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RmsNormBackwardCuda(grad.const_data_ptr<T>(), x.const_data_ptr<T>(), w.const_data_ptr<float>(),
                        inverse_rms.const_data_ptr<float>(), rows, hidden, grad_x.mutable_data_ptr<T>(),
                        parts.mutable_data_ptr<float>(), Stream());
  });
  return {grad_x, parts.sum(0).to(weight.scalar_type())};
}

at::Tensor Rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const CUDAGuard guard(x.device());
  at::Tensor y = at::empty_like(x);
  ForFloatType(x.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    RotaryCuda(x.const_data_ptr<T>(), cos.const_data_ptr<float>(), sin.const_data_ptr<float>(), x.size(0),
               x.size(1), x.size(2), inverse, y.mutable_data_ptr<T>(), Stream());
  });
  return y;
}

// Sets to 0 what top-k and top-p cut away; the sort is stable, as on the CPU. weights: double [T, V].
at::Tensor Truncate(const at::Tensor& weights, double top_p, int64_t top_k) {
  const auto [sorted, order] = at::sort(weights, /*stable=*/true, /*dim=*/1, /*descending=*/true);
  const at::Tensor sums = at::cumsum(sorted, 1), total = weights.sum(1, /*keepdim=*/true);
  const at::Tensor before = at::constant_pad_nd(sums.slice(1, 0, sums.size(1) - 1), {1, 0});
  at::Tensor keep = before < total * top_p;
  if (top_k > 0 && top_k < keep.size(1)) keep.slice(1, top_k).fill_(false);
  return at::zeros_like(weights).scatter(1, order, sorted * keep);
}

std::tuple<at::Tensor, at::Tensor> Sample(const at::Tensor& logits, double temperature,
                                          const OptionalTensor& allowed, const at::Tensor& bits, double top_p,
                                          int64_t top_k) {
  const CUDAGuard guard(logits.device());
  const int64_t rows = logits.size(0), vocab = logits.size(1);
  const double divisor = temperature > 0 ? temperature : 1.0;
  at::Tensor weights = at::empty({rows, vocab}, logits.options().dtype(at::kDouble));
  at::Tensor greedy = at::empty({rows}, bits.options()), log_sum = at::empty({rows}, weights.options());
  WeighCuda(logits.const_data_ptr<float>(), MaskPointer(allowed), rows, vocab, divisor,
            weights.mutable_data_ptr<double>(), greedy.mutable_data_ptr<int64_t>(),
            log_sum.mutable_data_ptr<double>(), Stream());
  at::Tensor token = greedy;
  if (temperature > 0) {
    if (top_k > 0 || top_p < 1) weights = Truncate(weights, top_p, top_k);
    token = at::empty_like(greedy);
    DrawCuda(weights.const_data_ptr<double>(), bits.const_data_ptr<int64_t>(), rows, vocab,
             token.mutable_data_ptr<int64_t>(), Stream());
  }
  const auto logit = [&](const at::Tensor& id) {
    return logits.gather(1, id.unsqueeze(1)).squeeze(1).to(at::kDouble);
  };
  return {token, ((logit(token) - logit(greedy)) / divisor - log_sum).to(at::kFloat)};
}

TORCH_LIBRARY_IMPL(rein, CUDA, library) {
  library.impl("log_prob_entropy", LogProbForward);
  library.impl("log_prob_entropy_backward", LogProbBackward);
  library.impl("rms_norm", RmsNormForward);
  library.impl("rms_norm_backward", RmsNormBackward);
  library.impl("rotary", Rotary);
  library.impl("sample_tokens", Sample);
}

}  // namespace
}  // namespace rein::kernels
