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
using RowFunction = void (*)(const float*, const float*, const float*, int64_t, float*);

constexpr int64_t kGrain = 64;  // tokens

at::Tensor RotateCpu(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  const RowFunction row = inverse ? RotaryRowBackwardCpu : RotaryRowCpu;
  const at::Tensor in = x.to(at::kFloat);
  const int64_t heads = in.size(1), dim = in.size(2), step = in.stride(0);
  at::Tensor out = at::empty(in.sizes(), in.options());
  at::parallel_for(0, in.size(0), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * heads; i < end * heads; ++i) {
      const int64_t angles = (i / heads) * dim;
      row(in.const_data_ptr<float>() + i / heads * step + i % heads * dim,
          cos.const_data_ptr<float>() + angles, sin.const_data_ptr<float>() + angles, dim,
          out.mutable_data_ptr<float>() + i * dim);
    }
  });
  return out.to(x.scalar_type());
}

TORCH_LIBRARY_FRAGMENT(rein, library) {
  library.def("rotary(Tensor x, Tensor cos, Tensor sin, bool inverse) -> Tensor");
}

TORCH_LIBRARY_IMPL(rein, CPU, library) { library.impl("rotary", RotateCpu); }

at::Tensor Rotate(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin, bool inverse) {
  static const auto operation = FindOperation<decltype(RotateCpu)>("rein::rotary");
  // On the CPU tokens may stand apart, as in a joined projection.
  const bool fits = x.is_cpu() && x.stride(2) == 1 && x.stride(1) == x.size(2);
  return OnDevice(operation, fits ? x : x.contiguous(), cos, sin, inverse);
}

class RotaryFunction : public torch::autograd::Function<RotaryFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& cos,
                            const at::Tensor& sin) {
    context->save_for_backward({cos, sin});
    return Rotate(x, cos, sin, /*inverse=*/false);
  }
  // The gradient of a rotation is the rotation back.
  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    return {Rotate(grads[0], saved[0], saved[1], /*inverse=*/true), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Rotary(const at::Tensor& x, const at::Tensor& cos, const at::Tensor& sin) {
  TORCH_CHECK(x.dim() == 3 && x.size(2) % 2 == 0, "Rotary: x must be [T, heads, even D], got ", x.sizes());
  for (const at::Tensor& angles : {cos, sin}) {
    TORCH_CHECK(angles.scalar_type() == at::kFloat && angles.dim() == 2 && angles.size(0) == x.size(0) &&
                    angles.size(1) == x.size(2),
                "Rotary: cos and sin must be float32 [", x.size(0), ", ", x.size(2), "], got ",
                angles.sizes());
  }
  return RotaryFunction::apply(x, cos.contiguous(), sin.contiguous());
}

}  // namespace rein::kernels
