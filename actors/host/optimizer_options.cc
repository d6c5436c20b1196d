#include "actors/host/optimizer_options.h"

namespace rein::host {
namespace {

// The job file's rules allow these three words only.
training::OptimizerOptions::Schedule ToSchedule(const std::string& name) {
  using Schedule = training::OptimizerOptions::Schedule;
  if (name == "linear") return Schedule::kLinear;
  if (name == "cosine") return Schedule::kCosine;
  return Schedule::kConstant;
}

}  // namespace

training::OptimizerOptions ToOptimizerOptions(const v1::Optimizer& optimizer) {
  return {.learning_rate = optimizer.learning_rate(),
          .schedule = ToSchedule(optimizer.schedule()),
          .warmup_ratio = optimizer.warmup_ratio(),
          .beta1 = optimizer.beta1(),
          .beta2 = optimizer.beta2(),
          .epsilon = optimizer.epsilon(),
          .weight_decay = optimizer.weight_decay(),
          .gradient_clip = optimizer.gradient_clip(),
          .micro_batch_tokens = optimizer.micro_batch_tokens(),
          .checkpoint_activations = optimizer.checkpoint_activations(),
          .precision = optimizer.precision() == "bfloat16" ? at::kBFloat16 : at::kFloat};
}

models::LoraOptions ToLoraOptions(const v1::Lora& lora, uint64_t seed) {
  return {.rank = lora.rank(),
          .alpha = lora.alpha(),
          .dropout = lora.dropout(),
          .targets = {lora.targets().begin(), lora.targets().end()},
          .seed = seed};
}

}  // namespace rein::host
