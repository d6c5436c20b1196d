#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <utility>

#include "kernels/dispatch.h"
#include "kernels/linear_cpu.h"
#include "kernels/ops.h"
#include "kernels/precision.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;
using OptionalTensor = std::optional<at::Tensor>;

constexpr int64_t kFewRows = 64;            // up to here the weights are read as they are
constexpr int64_t kPanelValues = 1 << 20;   // weights in float32 at a time, 4 MiB
constexpr int64_t kParallelWork = 1 << 18;  // multiplications that are worth a thread

thread_local c10::ScalarType product_dtype = at::kFloat;

// What ATen asks before it gives a product of bfloat16 matrices to oneDNN; without it they are multiplied
// value by value.
bool ProcessorHasBfloat16() {
  static const bool has = [] {
    const auto handle = c10::Dispatcher::singleton().findSchema({"mkldnn::_is_mkldnn_bf16_supported", ""});
    return handle.has_value() && handle->typed<bool()>().call();
  }();
  return has;
}

const uint16_t* Bits(const at::Tensor& bfloat16) {
  return static_cast<const uint16_t*>(bfloat16.const_data_ptr());
}

// Calls `part(first, rows, panel)` for panels of rows of `weight`, each float32 [rows, in] and valid for the
// call.
template <typename Part>
void ForEachPanel(const at::Tensor& weight, const Part& part) {
  const int64_t outs = weight.size(0), in = weight.size(1);
  const int64_t most =
      std::clamp<int64_t>(kPanelValues / std::max<int64_t>(in, 1), 1, std::max<int64_t>(outs, 1));
  const at::Tensor buffer = at::empty({most, in}, weight.options().dtype(at::kFloat));
  for (int64_t first = 0; first < outs; first += most) {
    const int64_t rows = std::min(most, outs - first);
    at::Tensor panel = buffer.narrow(0, 0, rows);
    panel.copy_(weight.narrow(0, first, rows));
    part(first, rows, panel);
  }
}

void MultiplyFewRows(const at::Tensor& x, const at::Tensor& weight, at::Tensor& y) {
  const int64_t rows = x.size(0), in = x.size(1), outs = weight.size(0);
  const int64_t stride = (in + kLinearStep - 1) / kLinearStep * kLinearStep;
  at::Tensor split = at::empty({rows, stride}, y.options());
  for (int64_t r = 0; r < rows; ++r)
    SplitPairsCpu(Bits(x) + r * in, in, split.mutable_data_ptr<float>() + r * stride);
  const int64_t grain = std::max<int64_t>(4, kParallelWork / std::max<int64_t>(1, rows * in));
  at::parallel_for(0, outs, grain, [&](int64_t begin, int64_t end) {
    LinearRowsCpu(split.const_data_ptr<float>(), rows, Bits(weight) + begin * in, end - begin, in,
                  y.mutable_data_ptr<float>() + begin, outs);
  });
}

// x: [rows, in] -> [rows, outs], all bfloat16, sums in float32.
at::Tensor Forward(const at::Tensor& x, const at::Tensor& weight, const OptionalTensor& bias) {
  at::Tensor y = at::empty({x.size(0), weight.size(0)}, x.options().dtype(at::kFloat));
  if (x.size(0) <= kFewRows) {
    MultiplyFewRows(x, weight, y);
  } else {
    const at::Tensor wide = x.to(at::kFloat);
    ForEachPanel(weight, [&](int64_t first, int64_t rows, const at::Tensor& panel) {
      at::Tensor part = y.narrow(1, first, rows);
      at::mm_out(part, wide, panel.t());
    });
  }
  if (bias) y.add_(*bias);
  return y.to(at::kBFloat16);
}

at::Tensor GradOfInput(const at::Tensor& grad, const at::Tensor& weight) {
  at::Tensor sum = at::zeros({grad.size(0), weight.size(1)}, grad.options());
  ForEachPanel(weight, [&](int64_t first, int64_t rows, const at::Tensor& panel) {
    sum.addmm_(grad.narrow(1, first, rows), panel);
  });
  return sum.to(at::kBFloat16);
}

at::Tensor GradOfWeight(const at::Tensor& grad, const at::Tensor& x) {
  return at::mm(grad.t(), x.to(at::kFloat)).to(at::kBFloat16);
}

class Bfloat16LinearFunction : public torch::autograd::Function<Bfloat16LinearFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& weight,
                            const OptionalTensor& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["bias"] = bias.has_value();
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    return Forward(x, weight, bias);
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const at::Tensor grad = grads[0].to(at::kFloat);
    variable_list result(3);
    if (context->needs_input_grad(0)) result[0] = GradOfInput(grad, saved[1]);
    if (context->needs_input_grad(1)) result[1] = GradOfWeight(grad, saved[0]);
    if (context->saved_data["bias"].toBool() && context->needs_input_grad(2))
      result[2] = grad.sum(0).to(at::kBFloat16);
    return result;
  }
};

bool IsOurs(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const auto fits = [](const at::Tensor& t) { return t.is_cpu() && t.scalar_type() == at::kBFloat16; };
  return fits(x) && fits(weight) && (!bias.defined() || fits(bias)) && !ProcessorHasBfloat16();
}

at::Tensor Product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  const OptionalTensor optional_bias = bias.defined() ? OptionalTensor(bias) : OptionalTensor();
  if (!IsOurs(x, weight, bias)) return at::linear(x, weight, optional_bias);
  std::vector<int64_t> shape = x.sizes().vec();
  shape.back() = weight.size(0);
  const at::Tensor rows = x.reshape({-1, x.size(-1)}).contiguous();
  return Bfloat16LinearFunction::apply(rows, weight.contiguous(), optional_bias).view(shape);
}

}  // namespace

ProductPrecision::ProductPrecision(c10::ScalarType dtype) : outer_(std::exchange(product_dtype, dtype)) {}

ProductPrecision::~ProductPrecision() { product_dtype = outer_; }

c10::ScalarType ProductDtype() { return product_dtype; }

at::Tensor Linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  TORCH_CHECK(x.dim() >= 1 && weight.dim() == 2 && x.size(-1) == weight.size(1), "Linear: x must be [..., ",
              weight.dim() == 2 ? weight.size(1) : 0, "], got ", x.sizes());
  TORCH_CHECK(!bias.defined() || (bias.dim() == 1 && bias.size(0) == weight.size(0)),
              "Linear: bias must be [", weight.size(0), "]");
  if (product_dtype == at::kFloat || weight.scalar_type() != at::kFloat) return Product(x, weight, bias);
  return Product(x.to(product_dtype), weight.to(product_dtype),
                 bias.defined() ? bias.to(product_dtype) : bias);
}

}  // namespace rein::kernels
