// AdamW, learning-rate schedules and gradient clipping.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/vision_language_model.h"

namespace rein::training {

struct OptimizerOptions {
  double learning_rate = 5e-7;
  enum class Schedule { kConstant, kLinear, kCosine } schedule = Schedule::kConstant;
  double warmup_ratio = 0.03;
  double beta1 = 0.9, beta2 = 0.95, epsilon = 1e-8;
  double weight_decay = 0.0;  // decoupled; not on biases and norms
  double gradient_clip = 1.0;
  int64_t micro_batch_tokens = 4096;
  bool checkpoint_activations = false;    // see VisionLanguageModel::CheckpointActivations
  at::ScalarType precision = at::kFloat;  // of the products of linear layers (kernels/precision.h)
};

// Learning rate of step `step` (counted from 0) of `total_steps`: linear warm-up over ceil(warmup_ratio *
// total_steps) steps that never takes a step of size 0, then the schedule, which reaches 0 at `total_steps`
// unless it is constant.
double LearningRate(const OptimizerOptions& options, int64_t step, int64_t total_steps);

// AdamW over named float32 parameters. Gradients are read from Tensor::grad; a parameter without one is left
// alone.
class AdamW {
 public:
  AdamW(models::NamedTensors parameters, const OptimizerOptions& options);

  struct StepResult {
    double gradient_norm = 0;
    double learning_rate = 0;
  };
  // Clips by global norm, updates, and clears the gradients. Errors: DATA_LOSS (norm not finite: names up to
  // three parameters; nothing is changed and the gradients are cleared), FAILED_PRECONDITION (no gradient at
  // all).
  absl::StatusOr<StepResult> Step(int64_t total_steps);
  void ZeroGrad();
  // Global norm of the gradients that there are; 0 without any.
  double GradientNorm() const;

  int64_t steps() const { return steps_; }
  const OptimizerOptions& options() const { return options_; }
  const models::NamedTensors& parameters() const { return parameters_; }
  // Those that there are.
  std::vector<at::Tensor> moments() const;

  // Moments and step count as safetensors. Load refuses other names or shapes (INVALID_ARGUMENT).
  absl::Status Save(const std::filesystem::path& file) const;
  absl::Status Load(const std::filesystem::path& file);

 private:
  struct Group;

  void Update(double learning_rate);
  std::vector<at::Tensor> Gradients() const;
  std::vector<std::string> NonFiniteGradients() const;

  models::NamedTensors parameters_;
  OptimizerOptions options_;
  // In the order of parameters_; undefined until the parameter's first gradient.
  std::vector<at::Tensor> first_moments_, second_moments_;
  int64_t steps_ = 0;
};

}  // namespace rein::training
