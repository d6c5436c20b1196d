#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/ops.h"
#include "kernels/row_ops_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

void Check(const at::Tensor& logits, const at::Tensor& targets, double temperature,
           const at::Tensor& allowed) {
  TORCH_CHECK(logits.dim() == 2 && logits.size(1) > 0, "LogProbAndEntropy: logits must be [T, V], got ",
              logits.sizes());
  TORCH_CHECK(logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kBFloat16,
              "LogProbAndEntropy: logits must be float32 or bfloat16, got ", logits.scalar_type());
  TORCH_CHECK(targets.scalar_type() == at::kLong && targets.dim() == 1 && targets.size(0) == logits.size(0),
              "LogProbAndEntropy: targets must be int64 [", logits.size(0), "], got ", targets.scalar_type(),
              " ", targets.sizes());
  TORCH_CHECK(temperature > 0, "LogProbAndEntropy: temperature must be positive, got ", temperature);
  TORCH_CHECK(!allowed.defined() || (allowed.scalar_type() == at::kBool && allowed.dim() == 1 &&
                                     allowed.size(0) == logits.size(1)),
              "LogProbAndEntropy: allowed must be bool [", logits.size(1), "]");
}

// The target of every row must be an allowed id.
void CheckTargets(const int64_t* targets, int64_t rows, int64_t vocab, const bool* allowed) {
  for (int64_t t = 0; t < rows; ++t) {
    TORCH_CHECK(targets[t] >= 0 && targets[t] < vocab, "LogProbAndEntropy: target ", targets[t], " of row ",
                t, " is outside the vocabulary of ", vocab);
    TORCH_CHECK(allowed == nullptr || allowed[targets[t]], "LogProbAndEntropy: target ", targets[t],
                " of row ", t, " is not allowed");
  }
}

const bool* Pointer(const at::Tensor& allowed) {
  return allowed.defined() ? allowed.const_data_ptr<bool>() : nullptr;
}

class LogProbEntropyFunction : public torch::autograd::Function<LogProbEntropyFunction> {
 public:
  static variable_list forward(AutogradContext* context, const at::Tensor& logits, const at::Tensor& targets,
                               double temperature, const at::Tensor& allowed) {
    const at::Tensor rows = logits.to(at::kFloat).contiguous(), ids = targets.contiguous();
    const at::Tensor mask = allowed.contiguous();
    const int64_t count = rows.size(0), vocab = rows.size(1);
    CheckTargets(ids.const_data_ptr<int64_t>(), count, vocab, Pointer(mask));
    at::Tensor logprob = at::empty({count}, rows.options()), entropy = at::empty({count}, rows.options());
    at::Tensor normalizer = at::empty({count}, rows.options());
    at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
      std::vector<float> scratch(vocab);
      for (int64_t t = begin; t < end; ++t) {
        LogProbRowCpu(rows.const_data_ptr<float>() + t * vocab, Pointer(mask), vocab,
                      ids.const_data_ptr<int64_t>()[t], static_cast<float>(1.0 / temperature),
                      logprob.mutable_data_ptr<float>() + t, entropy.mutable_data_ptr<float>() + t,
                      normalizer.mutable_data_ptr<float>() + t, scratch.data());
      }
    });
    context->save_for_backward({rows, ids, mask, normalizer, entropy});
    context->saved_data["temperature"] = temperature;
    context->saved_data["bfloat16"] = logits.scalar_type() == at::kBFloat16;
    return {logprob, entropy};
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &rows = saved[0], &ids = saved[1], &mask = saved[2], &normalizer = saved[3],
                     &entropy = saved[4];
    const int64_t count = rows.size(0), vocab = rows.size(1);
    const at::Tensor zero = at::zeros({count}, rows.options());
    const at::Tensor grad_logprob = grads[0].defined() ? grads[0].contiguous() : zero;
    const at::Tensor grad_entropy = grads[1].defined() ? grads[1].contiguous() : zero;
    const auto inverse = static_cast<float>(1.0 / context->saved_data["temperature"].toDouble());
    at::Tensor grad = at::empty_like(rows);
    at::parallel_for(0, count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        LogProbRowBackwardCpu(
            rows.const_data_ptr<float>() + t * vocab, Pointer(mask), vocab, ids.const_data_ptr<int64_t>()[t],
            inverse, normalizer.const_data_ptr<float>()[t], entropy.const_data_ptr<float>()[t],
            grad_logprob.const_data_ptr<float>()[t], grad_entropy.const_data_ptr<float>()[t],
            grad.mutable_data_ptr<float>() + t * vocab);
      }
    });
    if (context->saved_data["bfloat16"].toBool()) grad = grad.to(at::kBFloat16);
    return {grad, at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

LogProbEntropy LogProbAndEntropy(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                                 const at::Tensor& allowed) {
  Check(logits, targets, temperature, allowed);
  const variable_list result = LogProbEntropyFunction::apply(
      logits, targets, temperature, allowed.defined() ? allowed : at::empty({0}, at::kBool));
  return {result[0], result[1]};
}

}  // namespace rein::kernels
