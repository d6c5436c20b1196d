// One optimizer step over losses that are split into micro-batches: the loop that all trainers share.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/lora.h"
#include "training/optimizer.h"
#include "training/ranks.h"
#include "training/rl_trainer.h"

namespace rein::training {

// A sum over items (sequences, or pairs of them) that can be computed some items at a time.
struct LossPart {
  std::vector<int64_t> item_tokens;
  std::function<std::string(size_t item)> item_name;
  // The part of the sum over items [begin, end): float32 scalar, differentiable.
  std::function<absl::StatusOr<at::Tensor>(size_t begin, size_t end)> loss;
  // Factor of the gradient; the reported loss is without it.
  double scale = 1;
  // Of this rank's items in the sum over all ranks: factor of both.
  double share = 1;
};

struct StepOutcome {
  std::vector<double> losses;  // one a part
  AdamW::StepResult update;
};

// Forward and backward of all micro-batches in the optimizer's precision, then the optimizer; `lora` (may be
// null) is told of every pass and merged at the end. With `ranks` (null: alone) each rank gives its own items
// of the same parts; losses and gradients are added up over all of them. Errors: those of the losses and of
// `ranks`; DATA_LOSS (loss or gradient not finite: names up to three items). They are the same on all ranks.
// After an error weights and optimizer are as before and gradients are cleared.
absl::StatusOr<StepOutcome> TakeStep(AdamW& optimizer, models::Lora* lora, absl::Span<const LossPart> parts,
                                     int64_t micro_batch_tokens, int64_t total_steps,
                                     const ProgressFn& progress, Ranks* ranks = nullptr);

}  // namespace rein::training
