#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "kernels/ops.h"
#include "kernels/row_ops_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

constexpr int64_t kGrain = 16;  // rows

// Float32 on the CPU, [rows, 2 * width] -> [rows, width].
class SiluProductFunction : public torch::autograd::Function<SiluProductFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& gate_up) {
    context->save_for_backward({gate_up});
    const int64_t width = gate_up.size(1) / 2;
    at::Tensor y = at::empty({gate_up.size(0), width}, gate_up.options());
    const float* in = gate_up.const_data_ptr<float>();
    float* out = y.mutable_data_ptr<float>();
    at::parallel_for(0, y.size(0), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) SiluProductRowCpu(in + 2 * r * width, width, out + r * width);
    });
    return y;
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const at::Tensor gate_up = context->get_saved_variables()[0], grad = grads[0].contiguous();
    const int64_t width = grad.size(1);
    at::Tensor result = at::empty(gate_up.sizes(), gate_up.options());
    const float *in = gate_up.const_data_ptr<float>(), *grad_y = grad.const_data_ptr<float>();
    float* out = result.mutable_data_ptr<float>();
    at::parallel_for(0, grad.size(0), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        SiluProductRowBackwardCpu(in + 2 * r * width, grad_y + r * width, width, out + 2 * r * width);
    });
    return {result};
  }
};

}  // namespace

at::Tensor SiluProduct(const at::Tensor& gate_up) {
  TORCH_CHECK(gate_up.dim() == 2 && gate_up.size(1) % 2 == 0, "SiluProduct: gate_up must be [T, even], got ",
              gate_up.sizes());
  if (gate_up.is_cpu() && gate_up.scalar_type() == at::kFloat)
    return SiluProductFunction::apply(gate_up.contiguous());
  const auto halves = gate_up.chunk(2, 1);
  return at::silu(halves[0]) * halves[1];
}

}  // namespace rein::kernels
