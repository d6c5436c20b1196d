#include "models/activation.h"

#include <ATen/ATen.h>

#include "absl/strings/str_cat.h"

namespace rein::models {

absl::StatusOr<Activation> ParseActivation(const std::string& name) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::kGeluTanh;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  if (name == "relu") return Activation::kRelu;
  return absl::UnimplementedError(absl::StrCat("activation \"", name,
                                               "\" is not supported; supported: silu, gelu, ",
                                               "gelu_pytorch_tanh, gelu_new, quick_gelu, relu"));
}

at::Tensor Activate(Activation activation, const at::Tensor& x) {
  switch (activation) {
    case Activation::kSilu:
      return at::silu(x);
    case Activation::kGelu:
      return at::gelu(x);
    case Activation::kGeluTanh:
      return at::gelu(x, "tanh");
    case Activation::kQuickGelu:
      return x * at::sigmoid(x * 1.702);
    case Activation::kRelu:
      return at::relu(x);
  }
  return x;
}

}  // namespace rein::models
