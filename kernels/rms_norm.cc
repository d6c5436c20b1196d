#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/row_ops_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 64;  // rows

std::tuple<at::Tensor, at::Tensor> ForwardCpu(const at::Tensor& input, const at::Tensor& weight, double eps) {
  const at::Tensor x = input.to(at::kFloat), w = weight.to(at::kFloat);
  const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
  at::Tensor y = at::empty_like(x), inverse_rms = at::empty({rows}, x.options());
  at::parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      inverse_rms.mutable_data_ptr<float>()[t] =
          RmsNormRowCpu(x.const_data_ptr<float>() + t * hidden, w.const_data_ptr<float>(), hidden,
                        static_cast<float>(eps), y.mutable_data_ptr<float>() + t * hidden);
    }
  });
  return {y.to(input.scalar_type()), inverse_rms};
}

std::tuple<at::Tensor, at::Tensor> BackwardCpu(const at::Tensor& grad_y, const at::Tensor& input,
                                               const at::Tensor& weight, const at::Tensor& inverse_rms) {
  const at::Tensor grad = grad_y.to(at::kFloat), x = input.to(at::kFloat), w = weight.to(at::kFloat);
  const int64_t hidden = x.size(-1), rows = x.numel() / hidden;
  // Sums over fixed runs of rows, added up in order: the same for every thread count.
  const int64_t runs = (rows + kGrain - 1) / kGrain;
  at::Tensor grad_x = at::empty_like(x), sums = at::zeros({runs, hidden}, w.options());
  at::parallel_for(0, runs, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin * kGrain; t < std::min(end * kGrain, rows); ++t) {
      RmsNormRowBackwardCpu(x.const_data_ptr<float>() + t * hidden, w.const_data_ptr<float>(),
                            grad.const_data_ptr<float>() + t * hidden, hidden,
                            inverse_rms.const_data_ptr<float>()[t],
                            grad_x.mutable_data_ptr<float>() + t * hidden,
                            sums.mutable_data_ptr<float>() + t / kGrain * hidden);
    }
  });
  at::Tensor grad_w = at::zeros_like(w);
  for (int64_t i = 0; i < runs; ++i) grad_w.add_(sums[i]);
  return {grad_x.to(input.scalar_type()), grad_w.to(weight.scalar_type())};
}

TORCH_LIBRARY_FRAGMENT(rein, library) {
  library.def("rms_norm(Tensor x, Tensor weight, float eps) -> (Tensor y, Tensor inverse_rms)");
  library.def(
      "rms_norm_backward(Tensor grad, Tensor x, Tensor weight, Tensor inverse_rms)"
      " -> (Tensor grad_x, Tensor grad_weight)");
}

TORCH_LIBRARY_IMPL(rein, CPU, library) {
  library.impl("rms_norm", ForwardCpu);
  library.impl("rms_norm_backward", BackwardCpu);
}

class RmsNormFunction : public torch::autograd::Function<RmsNormFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            double eps) {
    static const auto operation = FindOperation<decltype(ForwardCpu)>("rein::rms_norm");
    const auto [y, inverse_rms] = OnDevice(operation, x, weight, eps);
    context->save_for_backward({x, weight, inverse_rms});
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    static const auto operation = FindOperation<decltype(BackwardCpu)>("rein::rms_norm_backward");
    const variable_list saved = context->get_saved_variables();
    const auto [grad_x, grad_w] = OnDevice(operation, grads[0].contiguous(), saved[0], saved[1], saved[2]);
    return {grad_x, grad_w, at::Tensor()};
  }
};

}  // namespace

at::Tensor RmsNorm(const at::Tensor& x, const at::Tensor& weight, double eps) {
  TORCH_CHECK(x.dim() >= 1 && weight.dim() == 1 && x.size(-1) == weight.size(0), "RmsNorm: weight must be [",
              x.dim() >= 1 ? x.size(-1) : 0, "], got ", weight.sizes());
  TORCH_CHECK(x.is_floating_point(), "RmsNorm: x must be floating point, got ", x.scalar_type());
  return RmsNormFunction::apply(x.contiguous(), weight.contiguous(), eps);
}

}  // namespace rein::kernels
