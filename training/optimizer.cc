#include "training/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <numbers>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "models/safetensors.h"
#include "training/checks.h"
#include "training/guard.h"

namespace rein::training {
namespace {

constexpr char kSteps[] = "steps";
constexpr char kFirst[] = "first_moment.";
constexpr char kSecond[] = "second_moment.";

std::string ShapeText(const at::Tensor& tensor) {
  return absl::StrCat("[", absl::StrJoin(tensor.sizes(), ", "), "]");
}

using StoredTensors = std::map<std::string, at::Tensor>;

absl::StatusOr<int64_t> StoredSteps(const StoredTensors& stored) {
  const auto steps = stored.find(kSteps);
  if (steps == stored.end() || steps->second.scalar_type() != at::kLong || steps->second.numel() != 1) {
    return absl::InvalidArgumentError(absl::StrCat("no int64 tensor '", kSteps, "' of one element"));
  }
  return steps->second.item<int64_t>();
}

// Undefined where the parameter had no gradient yet: an empty tensor stands for that in the file.
absl::StatusOr<at::Tensor> StoredMoment(const StoredTensors& stored, const std::string& name,
                                        const at::Tensor& parameter) {
  const auto entry = stored.find(name);
  if (entry == stored.end()) return absl::InvalidArgumentError(absl::StrCat("lacks ", name));
  const at::Tensor& moment = entry->second;
  if (moment.dim() == 1 && moment.numel() == 0) return at::Tensor();
  if (moment.scalar_type() != at::kFloat || moment.sizes() != parameter.sizes()) {
    return absl::InvalidArgumentError(absl::StrCat(name, " is ", c10::toString(moment.scalar_type()),
                                                   " of shape ", ShapeText(moment),
                                                   ", expected Float of shape ", ShapeText(parameter)));
  }
  return moment.to(parameter.device());
}

}  // namespace

double LearningRate(const OptimizerOptions& options, int64_t step, int64_t total_steps) {
  const double total = static_cast<double>(std::max<int64_t>(total_steps, 1));
  const double warmup = std::ceil(options.warmup_ratio * total);
  if (step < warmup) return options.learning_rate * (step + 1) / (warmup + 1);
  const double progress = std::clamp((step - warmup) / std::max(total - warmup, 1.0), 0.0, 1.0);
  switch (options.schedule) {
    case OptimizerOptions::Schedule::kConstant:
      return options.learning_rate;
    case OptimizerOptions::Schedule::kLinear:
      return options.learning_rate * (1 - progress);
    case OptimizerOptions::Schedule::kCosine:
      return options.learning_rate * 0.5 * (1 + std::cos(std::numbers::pi * progress));
  }
  return options.learning_rate;
}

// The parameters that have a gradient, in the form of the fused kernel.
struct AdamW::Group {
  std::vector<at::Tensor> values, gradients, first, second, steps;

  void Add(const at::Tensor& value, const at::Tensor& first_moment, const at::Tensor& second_moment,
           const at::Tensor& step) {
    values.push_back(value);
    gradients.push_back(value.grad());
    first.push_back(first_moment);
    second.push_back(second_moment);
    steps.push_back(step);
  }

  void Update(const OptimizerOptions& options, double learning_rate, double weight_decay) {
    if (values.empty()) return;
    at::_fused_adamw_(values, gradients, first, second, {}, steps, learning_rate, options.beta1,
                      options.beta2, weight_decay, options.epsilon, /*amsgrad=*/false, /*maximize=*/false);
  }
};

AdamW::AdamW(models::NamedTensors parameters, const OptimizerOptions& options)
    : parameters_(std::move(parameters)),
      options_(options),
      first_moments_(parameters_.size()),
      second_moments_(parameters_.size()) {}

double AdamW::GradientNorm() const {
  const c10::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = Gradients();
  return gradients.empty() ? 0 : at::stack(at::_foreach_norm(gradients)).norm().item<double>();
}

std::vector<at::Tensor> AdamW::Gradients() const {
  std::vector<at::Tensor> gradients;
  for (const auto& [name, value] : parameters_) {
    if (value.grad().defined()) gradients.push_back(value.grad());
  }
  return gradients;
}

std::vector<std::string> AdamW::NonFiniteGradients() const {
  std::vector<std::string> names;
  for (const auto& [name, value] : parameters_) {
    if (value.grad().defined() && !value.grad().isfinite().all().item<bool>()) names.push_back(name);
  }
  return names;
}

absl::StatusOr<AdamW::StepResult> AdamW::Step(int64_t total_steps) {
  return Guarded([&]() -> absl::StatusOr<StepResult> {
    const c10::NoGradGuard no_grad;
    const std::vector<at::Tensor> gradients = Gradients();
    if (gradients.empty())
      return absl::FailedPreconditionError("no parameter has a gradient: run backward first");
    StepResult result{GradientNorm(), LearningRate(options_, steps_, total_steps)};
    if (!std::isfinite(result.gradient_norm)) {
      const std::vector<std::string> names = NonFiniteGradients();
      ZeroGrad();
      return absl::DataLossError(names.empty() ? "the gradient norm overflows"
                                               : absl::StrCat("gradient not finite in ", FirstNames(names)));
    }
    if (options_.gradient_clip > 0 && result.gradient_norm > options_.gradient_clip) {
      at::_foreach_mul_(gradients, options_.gradient_clip / (result.gradient_norm + 1e-6));
    }
    Update(result.learning_rate);
    ZeroGrad();
    return result;
  });
}

void AdamW::Update(double learning_rate) {
  ++steps_;
  Group decayed, plain;
  at::Tensor step;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& value = parameters_[i].second;
    if (!value.grad().defined()) continue;
    if (!step.defined()) step = at::full({}, static_cast<double>(steps_), value.options().dtype(at::kFloat));
    if (!first_moments_[i].defined()) {
      first_moments_[i] = at::zeros_like(value, at::MemoryFormat::Contiguous);
      second_moments_[i] = at::zeros_like(value, at::MemoryFormat::Contiguous);
    }
    // Biases and norms are the tensors of one dimension.
    (value.dim() > 1 ? decayed : plain).Add(value, first_moments_[i], second_moments_[i], step);
  }
  decayed.Update(options_, learning_rate, options_.weight_decay);
  plain.Update(options_, learning_rate, 0);
}

void AdamW::ZeroGrad() {
  for (auto& [name, value] : parameters_) value.mutable_grad().reset();
}

std::vector<at::Tensor> AdamW::moments() const {
  std::vector<at::Tensor> moments;
  for (const std::vector<at::Tensor>* list : {&first_moments_, &second_moments_}) {
    std::copy_if(list->begin(), list->end(), std::back_inserter(moments),
                 [](const at::Tensor& moment) { return moment.defined(); });
  }
  return moments;
}

absl::Status AdamW::Save(const std::filesystem::path& file) const {
  return Guarded([&]() -> absl::Status {
    models::NamedTensors tensors = {{kSteps, at::full({1}, steps_, at::kLong)}};
    for (size_t i = 0; i < parameters_.size(); ++i) {
      const auto stored = [](const at::Tensor& moment) { return moment.defined() ? moment : at::empty({0}); };
      tensors.emplace_back(kFirst + parameters_[i].first, stored(first_moments_[i]));
      tensors.emplace_back(kSecond + parameters_[i].first, stored(second_moments_[i]));
    }
    return models::WriteSafetensors(file, tensors);
  });
}

absl::Status AdamW::Load(const std::filesystem::path& file) {
  return Guarded([&]() -> absl::Status {
    REIN_ASSIGN_OR_RETURN(const models::NamedTensors tensors, models::ReadSafetensors(file));
    const std::map<std::string, at::Tensor> stored(tensors.begin(), tensors.end());
    const std::string context = absl::StrCat(file.string(), ": optimizer state");
    if (stored.size() != 2 * parameters_.size() + 1) {
      return absl::InvalidArgumentError(absl::StrCat(context, " holds ", stored.size(), " tensors, expected ",
                                                     2 * parameters_.size() + 1,
                                                     ": it belongs to another model or another freeze"));
    }
    absl::StatusOr<int64_t> steps = StoredSteps(stored);
    if (!steps.ok()) return WithContext(steps.status(), context);
    std::vector<at::Tensor> first, second;
    for (const auto& [name, value] : parameters_) {
      absl::StatusOr<at::Tensor> m = StoredMoment(stored, kFirst + name, value);
      if (!m.ok()) return WithContext(m.status(), context);
      absl::StatusOr<at::Tensor> v = StoredMoment(stored, kSecond + name, value);
      if (!v.ok()) return WithContext(v.status(), context);
      if (m->defined() != v->defined()) {
        return absl::InvalidArgumentError(absl::StrCat(context, " has one moment of ", name, " only"));
      }
      first.push_back(*std::move(m));
      second.push_back(*std::move(v));
    }
    first_moments_ = std::move(first);
    second_moments_ = std::move(second);
    steps_ = *steps;
    return absl::OkStatus();
  });
}

}  // namespace rein::training
