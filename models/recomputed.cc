#include "models/recomputed.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <utility>

#include "kernels/precision.h"

namespace rein::models {
namespace {

using Block = std::function<at::Tensor(const at::Tensor&)>;
using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// With the precision of its products: on a GPU the backward pass has another thread.
struct KeptBlock : torch::CustomClassHolder {
  explicit KeptBlock(Block kept) : block(std::move(kept)) {}
  Block block;
  c10::ScalarType precision = kernels::ProductDtype();
};

class RecomputeFunction : public torch::autograd::Function<RecomputeFunction> {
 public:
  // `anchor` requires a gradient, so that there is a backward pass even where only the leaves of `block` do.
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& /*anchor*/,
                            const c10::intrusive_ptr<KeptBlock>& kept) {
    context->save_for_backward({x});
    context->saved_data["block"] = c10::IValue::make_capsule(kept);
    // Recorded and forgotten: the block computes what it will compute in the backward pass, which may differ
    // from what it does without gradients (adapters, dropout).
    const at::AutoGradMode recording(true);
    return kept->block(x.detach()).detach();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    const auto kept = c10::static_intrusive_pointer_cast<KeptBlock>(context->saved_data["block"].toCapsule());
    const at::Tensor saved = context->get_saved_variables()[0];
    const at::Tensor x = saved.detach().requires_grad_(saved.requires_grad());
    const at::AutoGradMode recording(true);
    const kernels::ProductPrecision precision(kept->precision);
    torch::autograd::backward({kept->block(x)}, {gradients[0]});
    return {x.grad(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor Recomputed(const Block& block, const at::Tensor& x) {
  if (!at::GradMode::is_enabled()) return block(x);
  const at::Tensor anchor = at::empty({0}, x.options()).requires_grad_(true);
  return RecomputeFunction::apply(x, anchor, c10::make_intrusive<KeptBlock>(block));
}

}  // namespace rein::models
