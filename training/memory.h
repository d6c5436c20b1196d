// How much memory training and scoring take, from the shapes of a model alone (models::OutlineModel). What is
// counted tensor by tensor is exact; activations are estimates, which memory_test.cc holds against measured
// steps: the estimate of a step is from 0.9 to 1.4 times what the step takes (bfloat16: to 1.7
// on a processor that has such products).
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/lora.h"
#include "models/vision_language_model.h"

namespace rein::training {

// What the hidden states of a pass are turned into.
enum class PassEnd { kScores, kLogits };

// The largest pass over the model: its tokens, those of them that get logits or scores, and those that stand
// for pictures.
struct PassSize {
  int64_t tokens = 0;
  int64_t ends = 0;
  int64_t placeholders = 0;
};

// Elements and bytes of what stays from step to step. Exact.
struct ParameterMemory {
  int64_t parameters = 0;  // elements of the model's own tensors
  int64_t trained = 0;     // elements that have gradients
  // With adapters: the adapters too, and the adapted weights twice.
  int64_t weights = 0;
  int64_t gradients = 0;
  int64_t optimizer = 0;  // two moments
};

// Bytes at the peak of a micro-batch, besides the above. Estimates. With products in bfloat16 what linear
// layers take and give has half the size, and beside it stand copies of their weights.
struct ActivationMemory {
  int64_t kept = 0;          // without checkpoint_activations
  int64_t checkpointed = 0;  // with it
};

struct TrainingMemory {
  ParameterMemory parameters;
  ActivationMemory activations;
};

// Of a model that trains. `outline` may be of any device; which of its tensors require gradients is changed.
// `precision`: OptimizerOptions::precision. Errors: those of PrepareTraining.
absl::StatusOr<TrainingMemory> MemoryOfTraining(models::VisionLanguageModel& outline,
                                                const std::vector<std::string>& freeze,
                                                const models::LoraOptions& lora, const PassSize& micro_batch,
                                                PassEnd end, c10::ScalarType precision);

// Of a model that does not train.
ParameterMemory MemoryOfWeights(const models::VisionLanguageModel& outline);

// Bytes at the peak of a pass without gradients, besides the weights. An estimate.
int64_t MemoryOfPass(const models::VisionLanguageModel& outline, const PassSize& pass, PassEnd end,
                     c10::ScalarType precision);

// Patches that one placeholder stands for: what the first layer of the projector takes, over what the tower
// gives. 0 without a vision part.
double PatchesPerToken(const models::VisionLanguageModel& outline);

}  // namespace rein::training
