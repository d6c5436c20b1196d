// Activation checkpointing: a part of a forward pass that is computed again in the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

namespace rein::models {

// block(x), of which only `x` is kept for the backward pass; there `block` runs a second time, on the same
// values, so that gradients are those of block(x) to the bit. `block` is a pure function of `x` and of
// tensors that do not change before the backward pass; what it refers to must live until then. Gradients of
// leaves that it reads are added to Tensor::grad(), so torch::autograd::grad() does not see them.
at::Tensor Recomputed(const std::function<at::Tensor(const at::Tensor&)>& block, const at::Tensor& x);

}  // namespace rein::models
