// Activation functions by their Hugging Face names.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/statusor.h"

namespace rein::models {

enum class Activation { kSilu, kGelu, kGeluTanh, kQuickGelu, kRelu };

// Errors: UNIMPLEMENTED (lists the known names).
absl::StatusOr<Activation> ParseActivation(const std::string& name);

// Element by element, any shape; differentiable.
at::Tensor Activate(Activation activation, const at::Tensor& x);

}  // namespace rein::models
