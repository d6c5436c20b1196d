#include "models/parameters.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/hash.h"
#include "kernels/ops.h"

namespace rein::models {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// cat(parts) without copying, because the parts lie one below the other in `joined` already.
class JoinFunction : public torch::autograd::Function<JoinFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& joined, const at::Tensor& first,
                            const at::Tensor& second, const std::optional<at::Tensor>& third) {
    std::vector<int64_t> rows = {first.size(0), second.size(0)};
    if (third) rows.push_back(third->size(0));
    context->saved_data["rows"] = std::move(rows);
    return joined.detach();
  }

  static variable_list backward(AutogradContext* context, const variable_list& gradients) {
    variable_list result(4);  // one slot an argument of forward
    if (!gradients[0].defined()) return result;
    int64_t row = 0;
    size_t slot = 1;
    for (int64_t rows : context->saved_data["rows"].toIntVector()) {
      result[slot++] = gradients[0].narrow(0, row, rows);
      row += rows;
    }
    return result;
  }
};

at::Tensor Join(const at::Tensor& joined, const std::vector<at::Tensor>& parts) {
  const bool wants_gradient =
      at::GradMode::is_enabled() &&
      std::any_of(parts.begin(), parts.end(), [](const auto& part) { return part.requires_grad(); });
  if (!wants_gradient) return joined;
  return JoinFunction::apply(joined, parts[0], parts[1],
                             parts.size() > 2 ? std::optional<at::Tensor>(parts[2]) : std::nullopt);
}

// Another tensor on the same storage, independent for autograd.
at::Tensor Alias(const at::Tensor& storage_owner, int64_t offset, const std::vector<int64_t>& shape) {
  at::Tensor alias = at::empty({0}, storage_owner.options());
  const at::Tensor window = at::empty(shape, at::TensorOptions(storage_owner.dtype()).device(at::kMeta));
  alias.set_(storage_owner.storage(), offset, window.sizes(), window.strides());
  return alias;
}

// Box and Muller: two draws make two normal values. Value i is a function of `key` and i.
void FillPiece(at::Tensor piece, int64_t first, uint64_t key, double deviation) {
  const at::Tensor values = at::empty(piece.sizes(), at::kFloat);
  float* cursor = values.data_ptr<float>();
  CounterRandom random(key, static_cast<uint64_t>(first));
  for (int64_t i = 0; i < values.numel(); i += 2) {
    const double radius = deviation * std::sqrt(-2.0 * std::log(random.Uniform()));
    const double angle = 2.0 * std::numbers::pi * random.Uniform();
    cursor[i] = static_cast<float>(radius * std::cos(angle));
    if (i + 1 < values.numel()) cursor[i + 1] = static_cast<float>(radius * std::sin(angle));
  }
  piece.copy_(values);
}

// In pieces, so that no second copy of a large tensor is needed.
void FillNormal(const at::Tensor& target, uint64_t key, double deviation) {
  constexpr int64_t kPiece = 1 << 16;
  const at::Tensor values = target.view({-1});
  at::parallel_for(0, (values.numel() + kPiece - 1) / kPiece, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_grad;
    for (int64_t first = begin * kPiece; first < std::min(end * kPiece, values.numel()); first += kPiece) {
      FillPiece(values.narrow(0, first, std::min(kPiece, values.numel() - first)), first, key, deviation);
    }
  });
}

bool IsReplaced(const LinearLayer::Slot& slot) {
  return slot != nullptr && slot->training_product != nullptr;
}

// Part by part, where one of them is replaced.
at::Tensor ApplyParts(const JoinedLinear& layer, const at::Tensor& x) {
  std::vector<at::Tensor> products;
  for (size_t i = 0; i < layer.parts.size(); ++i) {
    const at::Tensor bias = layer.biases.empty() ? at::Tensor() : layer.biases[i];
    products.push_back(Apply(Linear{layer.parts[i], bias, layer.slots[i]}, x));
  }
  return at::cat(products, -1);
}

std::string ShapeText(at::IntArrayRef shape) { return absl::StrCat("[", absl::StrJoin(shape, ", "), "]"); }

}  // namespace

at::Tensor Apply(const JoinedLinear& layer, const at::Tensor& x) {
  if (at::GradMode::is_enabled() && std::any_of(layer.slots.begin(), layer.slots.end(), IsReplaced)) {
    return ApplyParts(layer, x);
  }
  const at::Tensor weight = Join(layer.joined, layer.parts);
  if (!layer.joined_bias.defined()) return kernels::Linear(x, weight);
  return kernels::Linear(x, weight, Join(layer.joined_bias, layer.biases));
}

at::Tensor Apply(const Linear& layer, const at::Tensor& x) {
  if (at::GradMode::is_enabled() && IsReplaced(layer.slot))
    return layer.slot->training_product(x, layer.bias);
  return kernels::Linear(x, layer.weight, layer.bias);
}

at::Tensor Parameters::Register(const std::string& name, at::Tensor tensor, Fill fill, double deviation) {
  index_.emplace(name, tensors_.size());
  notes_.push_back({.fill = fill, .deviation = deviation});
  tensors_.emplace_back(name, tensor);
  return tensor;
}

at::Tensor Parameters::Add(const std::string& name, const std::vector<int64_t>& shape, Fill fill,
                           double deviation) {
  return Register(name, at::empty(shape, options_), fill, deviation);
}

Linear Parameters::AddLinear(const std::string& prefix, int64_t out, int64_t in, bool bias,
                             double deviation) {
  Linear layer;
  layer.weight = Add(prefix + ".weight", {out, in}, Fill::kNormal, deviation);
  layer.slot = AddSlot(prefix, layer.weight);
  if (bias) layer.bias = Add(prefix + ".bias", {out}, Fill::kZeros);
  return layer;
}

at::Tensor Parameters::AddAliases(const std::vector<Part>& parts, const std::string& suffix,
                                  std::vector<int64_t> shape, Fill fill, double deviation,
                                  std::vector<at::Tensor>& aliases) {
  at::Tensor joined = at::empty(shape, options_);
  const int64_t row_size = joined.numel() / shape[0];
  int64_t row = 0;
  for (const Part& part : parts) {
    shape[0] = part.rows;
    aliases.push_back(Register(part.prefix + suffix, Alias(joined, row * row_size, shape), fill, deviation));
    row += part.rows;
  }
  return joined;
}

JoinedLinear Parameters::AddJoined(const std::vector<Part>& parts, int64_t in, bool bias, double deviation) {
  int64_t rows = 0;
  for (const Part& part : parts) rows += part.rows;
  JoinedLinear layer;
  layer.joined = AddAliases(parts, ".weight", {rows, in}, Fill::kNormal, deviation, layer.parts);
  for (size_t i = 0; i < parts.size(); ++i) layer.slots.push_back(AddSlot(parts[i].prefix, layer.parts[i]));
  if (bias) layer.joined_bias = AddAliases(parts, ".bias", {rows}, Fill::kZeros, 0, layer.biases);
  return layer;
}

LinearLayer::Slot Parameters::AddSlot(const std::string& prefix, const at::Tensor& weight) {
  linear_layers_.push_back({prefix, weight, std::make_shared<LinearLayer::Replacement>()});
  return linear_layers_.back().slot;
}

absl::StatusOr<at::Tensor> Parameters::Take(const std::string& name, at::ScalarType dtype,
                                            at::IntArrayRef shape) {
  const auto found = index_.find(name);
  if (found == index_.end())
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " does not belong to this model"));
  const at::Tensor& target = tensors_[found->second].second;
  Note& note = notes_[found->second];
  if (note.set) return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " is there twice"));
  if (target.sizes() != shape) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, " has shape ", ShapeText(shape),
                                                   ", the configuration asks for ",
                                                   ShapeText(target.sizes())));
  }
  if (!at::isFloatingType(dtype)) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, " holds ", c10::toString(dtype), ", floating point is needed"));
  }
  note.set = true;
  return target;
}

std::vector<std::string> Parameters::Missing() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    if (!notes_[i].set) names.push_back(tensors_[i].first);
  }
  return names;
}

void Parameters::Draw(const std::string& name, uint64_t seed) {
  const size_t at = index_.at(name);
  at::Tensor target = tensors_[at].second.detach();
  if (notes_[at].fill == Fill::kNormal) {
    FillNormal(target, KeyOf(name, seed), notes_[at].deviation);
  } else {
    target.fill_(notes_[at].fill == Fill::kOnes ? 1.0 : 0.0);
  }
  notes_[at].set = true;
}

void Parameters::DrawAll(uint64_t seed) {
  for (const auto& named : tensors_) Draw(named.first, seed);
}

}  // namespace rein::models
