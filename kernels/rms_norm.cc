#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/ops.h"
#include "kernels/row_ops_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 64;  // rows

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& input, const at::Tensor& weight,
                            double eps) {
    const at::Tensor x = input.to(at::kFloat).contiguous(), w = weight.to(at::kFloat).contiguous();
    const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
    at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options());
    at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        inverse_rms.mutable_data_ptr<float>()[t] =
            RmsNormRowCpu(x.const_data_ptr<float>() + t * hidden, w.const_data_ptr<float>(), hidden,
                          static_cast<float>(eps), y.mutable_data_ptr<float>() + t * hidden);
      }
    });
    context->save_for_backward({x, w, inverse_rms});
    context->saved_data["dtype"] = input.scalar_type();
    return y.to(input.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &w = saved[1], &inverse_rms = saved[2];
    const at::Tensor grad = grads[0].to(at::kFloat).contiguous();
    const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
    at::Tensor grad_x = at::empty_like(x), grad_w = at::zeros_like(w);
    // In one thread and in row order: the sum over rows is the same for every thread count.
    for (int64_t t = 0; t < rows; ++t) {
      RmsNormRowBackwardCpu(x.const_data_ptr<float>() + t * hidden, w.const_data_ptr<float>(),
                            grad.const_data_ptr<float>() + t * hidden, hidden,
                            inverse_rms.const_data_ptr<float>()[t],
                            grad_x.mutable_data_ptr<float>() + t * hidden, grad_w.mutable_data_ptr<float>());
    }
    const auto dtype = context->saved_data["dtype"].toScalarType();
    return {grad_x.to(dtype), grad_w.to(dtype), at::Tensor()};
  }
};

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  TORCH_CHECK(x.dim() >= 1 && weight.dim() == 1 && x.size(-1) == weight.size(0), "RmsNorm: weight must be [",
              x.dim() >= 1 ? x.size(-1) : 0, "], got ", weight.sizes());
  TORCH_CHECK(x.is_floating_point(), "RmsNorm: x must be floating point, got ", x.scalar_type());
  return RmsNormFunction::apply(x, weight, eps);
}

}  // namespace rein::kernels
