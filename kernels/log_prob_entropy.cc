#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/row_ops_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<at::Tensor>;

constexpr int64_t kGrain = 16;  // rows

void Check(const at::Tensor& logits, const at::Tensor& targets, double temperature,
           const at::Tensor& allowed) {
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) > 0, "LogProbAndEntropy: logits must be [T, V], got ",
              logits.sizes());
  const auto dtype = logits.scalar_type();
  TORCH_CHECK(dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf,
              "LogProbAndEntropy: logits must be float32, bfloat16 or float16, got ", dtype);
  TORCH_CHECK(targets.scalar_type() == at::kLong && targets.dim() == 1 && targets.size(0) == logits.size(0),
              "LogProbAndEntropy: targets must be int64 [", logits.size(0), "], got ", targets.scalar_type(),
              " ", targets.sizes());
  TORCH_CHECK(temperature > 0, "LogProbAndEntropy: temperature must be positive, got ", temperature);
  TORCH_CHECK(!allowed.defined() || (allowed.scalar_type() == at::kBool && allowed.dim() == 1 &&
                                     allowed.size(0) == logits.size(1)),
              "LogProbAndEntropy: allowed must be bool [", logits.size(1), "]");
}

const bool* Pointer(const OptionalTensor& allowed) {
  return allowed.has_value() ? allowed->const_data_ptr<bool>() : nullptr;
}

// The target of every row must be an allowed id. Checked on the host: a bad id found by a kernel would take
// the whole CUDA context with it.
void CheckTargets(const at::Tensor& targets, int64_t vocab, const at::Tensor& allowed) {
  const at::Tensor ids = targets.cpu().contiguous(), mask = allowed.defined() ? allowed.cpu() : allowed;
  const int64_t* target = ids.const_data_ptr<int64_t>();
  for (int64_t t = 0; t < ids.numel(); ++t) {
    TORCH_CHECK(target[t] >= 0 && target[t] < vocab, "LogProbAndEntropy: target ", target[t], " of row ", t,
                " is outside the vocabulary of ", vocab);
    TORCH_CHECK(!mask.defined() || mask.const_data_ptr<bool>()[target[t]], "LogProbAndEntropy: target ",
                target[t], " of row ", t, " is not allowed");
  }
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> ForwardCpu(const at::Tensor& logits, const at::Tensor& targets,
                                                          double temperature, const OptionalTensor& allowed) {
  const at::Tensor rows = logits.to(at::kFloat);
  const int64_t count = rows.size(0), vocab = rows.size(1);
  at::Tensor logprob = at::empty({count}, rows.options()), entropy = at::empty({count}, rows.options());
  at::Tensor normalizer = at::empty({count}, rows.options());
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(vocab);
    for (int64_t t = begin; t < end; ++t) {
      LogProbRowCpu(rows.const_data_ptr<float>() + t * vocab, Pointer(allowed), vocab,
                    targets.const_data_ptr<int64_t>()[t], static_cast<float>(1.0 / temperature),
                    logprob.mutable_data_ptr<float>() + t, entropy.mutable_data_ptr<float>() + t,
                    normalizer.mutable_data_ptr<float>() + t, scratch.data());
    }
  });
  return {logprob, entropy, normalizer};
}

at::Tensor BackwardCpu(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                       const OptionalTensor& allowed, const at::Tensor& normalizer, const at::Tensor& entropy,
                       const at::Tensor& grad_logprob, const at::Tensor& grad_entropy) {
  const at::Tensor rows = logits.to(at::kFloat);
  const int64_t count = rows.size(0), vocab = rows.size(1);
  at::Tensor grad = at::empty_like(rows);
  at::parallel_for(0, count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      LogProbRowBackwardCpu(rows.const_data_ptr<float>() + t * vocab, Pointer(allowed), vocab,
                            targets.const_data_ptr<int64_t>()[t], static_cast<float>(1.0 / temperature),
                            normalizer.const_data_ptr<float>()[t], entropy.const_data_ptr<float>()[t],
                            grad_logprob.const_data_ptr<float>()[t], grad_entropy.const_data_ptr<float>()[t],
                            grad.mutable_data_ptr<float>() + t * vocab);
    }
  });
  return grad.to(logits.scalar_type());
}

TORCH_LIBRARY_FRAGMENT(rein, library) {
  library.def(
      "log_prob_entropy(Tensor logits, Tensor targets, float temperature, Tensor? allowed)"
      " -> (Tensor logprob, Tensor entropy, Tensor normalizer)");
  library.def(
      "log_prob_entropy_backward(Tensor logits, Tensor targets, float temperature, Tensor? allowed,"
      " Tensor normalizer, Tensor entropy, Tensor grad_logprob, Tensor grad_entropy) -> Tensor");
}

TORCH_LIBRARY_IMPL(rein, CPU, library) {
  library.impl("log_prob_entropy", ForwardCpu);
  library.impl("log_prob_entropy_backward", BackwardCpu);
}

class LogProbEntropyFunction : public torch::autograd::Function<LogProbEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& logits, const at::Tensor& targets,
                               double temperature, const OptionalTensor& allowed) {
    static const auto operation = FindOperation<decltype(ForwardCpu)>("rein::log_prob_entropy");
    const auto [logprob, entropy, normalizer] = OnDevice(operation, logits, targets, temperature, allowed);
    context->save_for_backward({logits, targets, allowed.value_or(at::Tensor()), normalizer, entropy});
    context->saved_data["temperature"] = temperature;
    return {logprob, entropy};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    static const auto operation = FindOperation<decltype(BackwardCpu)>("rein::log_prob_entropy_backward");
    const variable_list saved = context->get_saved_variables();
    const auto grad_of = [&](const at::Tensor& grad) {
      return grad.defined() ? grad.contiguous() : at::zeros_like(saved[3]);
    };
    const at::Tensor grad =
        OnDevice(operation, saved[0], saved[1], context->saved_data["temperature"].toDouble(),
                 saved[2].defined() ? OptionalTensor(saved[2]) : OptionalTensor(), saved[3], saved[4],
                 grad_of(grads[0]), grad_of(grads[1]));
    return {grad, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

LogProbEntropy LogProbAndEntropy(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                                 const at::Tensor& allowed) {
  Check(logits, targets, temperature, allowed);
  CheckTargets(targets, logits.size(1), allowed);
  const variable_list result = LogProbEntropyFunction::apply(
      logits.contiguous(), targets.contiguous(), temperature,
      allowed.defined() ? OptionalTensor(allowed.contiguous()) : OptionalTensor());
  return {result[0], result[1]};
}

}  // namespace rein::kernels
