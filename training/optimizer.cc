#include "training/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
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

double GlobalNorm(const std::vector<at::Tensor>& gradients) {
  return at::stack(at::_foreach_norm(gradients)).norm().item<double>();
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
    std::vector<at::Tensor> gradients;
    for (const auto& [name, value] : parameters_) {
      if (value.grad().defined()) gradients.push_back(value.grad());
    }
    if (gradients.empty())
      return absl::FailedPreconditionError("no parameter has a gradient: run backward first");
    StepResult result{GlobalNorm(gradients), LearningRate(options_, steps_, total_steps)};
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

absl::Status AdamW::Save(const std::filesystem::path& file) const {
  return Guarded([&]() -> absl::Status {
    models::NamedTensors tensors = {{kSteps, at::full({1}, steps_, at::kLong)}};
    for (size_t i = 0; i < parameters_.size(); ++i) {
      // An empty tensor stands for moments that do not exist yet.
      const auto stored = [](const at::Tensor& moment) { return moment.defined() ? moment : at::empty({0}); };
      tensors.emplace_back(kFirst + parameters_[i].first, stored(first_moments_[i]));
      tensors.emplace_back(kSecond + parameters_[i].first, stored(second_moments_[i]));
    }
    return models::WriteSafetensors(file, tensors);
  });
}

absl::Status AdamW::Load(const std::filesystem::path& file) {
  return Guarded([&]() -> absl::Status {
    REIN_ASSIGN_OR_RETURN(models::NamedTensors tensors, models::ReadSafetensors(file));
    std::map<std::string, at::Tensor> stored(tensors.begin(), tensors.end());
    const auto bad = [&](auto... what) {
      return absl::InvalidArgumentError(absl::StrCat(file.string(), ": optimizer state ", what...));
    };
    if (stored.size() != 2 * parameters_.size() + 1) {
      return bad("holds ", stored.size(), " tensors, expected ", 2 * parameters_.size() + 1,
                 ": it belongs to another model or another freeze");
    }
    if (!stored[kSteps].defined() || stored[kSteps].scalar_type() != at::kLong ||
        stored[kSteps].numel() != 1) {
      return bad("has no int64 tensor '", kSteps, "' of one element");
    }
    std::vector<at::Tensor> first, second;
    for (const auto& [name, value] : parameters_) {
      for (const auto& [prefix, moments] : {std::pair{kFirst, &first}, std::pair{kSecond, &second}}) {
        const at::Tensor& moment = stored[prefix + name];
        if (!moment.defined()) return bad("lacks ", prefix, name);
        if (moment.scalar_type() != at::kFloat)
          return bad("has ", prefix, name, " in another type than float32");
        const bool absent = moment.dim() == 1 && moment.numel() == 0;
        if (!absent && moment.sizes() != value.sizes()) {
          return bad("has ", prefix, name, " of shape ", ShapeText(moment), ", expected ", ShapeText(value));
        }
        moments->push_back(absent ? at::Tensor() : moment.to(value.device()));
      }
      if (first.back().defined() != second.back().defined()) return bad("has one moment of ", name, " only");
    }
    first_moments_ = std::move(first);
    second_moments_ = std::move(second);
    steps_ = stored[kSteps].item<int64_t>();
    return absl::OkStatus();
  });
}

}  // namespace rein::training
