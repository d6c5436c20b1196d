#include "training/step.h"

#include <ATen/ATen.h>

#include <cmath>

#include "absl/cleanup/cleanup.h"
#include "base/status.h"
#include "training/checks.h"
#include "training/guard.h"
#include "training/packing.h"

namespace rein::training {
namespace {

// Adds the gradient of items [begin, end) and returns their loss.
absl::StatusOr<double> AddGradient(const LossPart& part, size_t begin, size_t end) {
  REIN_ASSIGN_OR_RETURN(const at::Tensor loss, part.loss(begin, end));
  const double value = loss.item<double>();
  if (std::isfinite(value)) (part.scale == 1 ? loss : loss * part.scale).backward();
  return value;
}

// An item is to blame when its loss or gradient is not finite without the others either.
bool IsFiniteAlone(AdamW& optimizer, const LossPart& part, size_t item) {
  optimizer.ZeroGrad();
  const absl::StatusOr<double> loss = AddGradient(part, item, item + 1);
  return loss.ok() && std::isfinite(*loss) && std::isfinite(optimizer.GradientNorm());
}

// `what` with the names of the items that caused it. Only after a failure: it computes every item again.
absl::Status BlameItems(AdamW& optimizer, absl::Span<const LossPart> parts, absl::string_view what) {
  std::vector<std::string> names;
  for (const LossPart& part : parts) {
    for (size_t i = 0; i < part.item_tokens.size(); ++i) {
      if (!IsFiniteAlone(optimizer, part, i)) names.push_back(part.item_name(i));
    }
  }
  return NotFiniteError(what, names);
}

absl::StatusOr<StepOutcome> TakeStepUnguarded(AdamW& optimizer, models::Lora* lora,
                                              absl::Span<const LossPart> parts, int64_t micro_batch_tokens,
                                              int64_t total_steps, const ProgressFn& progress) {
  std::vector<std::vector<MicroBatch>> packs;
  int total = 0, done = 0;
  for (const LossPart& part : parts) {
    packs.push_back(PackByTokens(part.item_tokens, micro_batch_tokens));
    total += static_cast<int>(packs.back().size());
  }
  StepOutcome outcome;
  for (size_t p = 0; p < parts.size(); ++p) {
    double sum = 0;
    for (const MicroBatch& items : packs[p]) {
      if (lora) lora->StartPass(optimizer.steps(), done);
      REIN_ASSIGN_OR_RETURN(const double loss, AddGradient(parts[p], items.begin, items.end));
      if (!std::isfinite(loss)) return BlameItems(optimizer, parts, "loss not finite");
      sum += loss;
      ++done;
      if (progress) progress(done, total);
    }
    outcome.losses.push_back(sum);
  }
  absl::StatusOr<AdamW::StepResult> update = optimizer.Step(total_steps);
  if (absl::IsDataLoss(update.status())) return BlameItems(optimizer, parts, update.status().message());
  if (!update.ok()) return update.status();
  if (lora) lora->Merge();
  outcome.update = *update;
  return outcome;
}

}  // namespace

absl::StatusOr<StepOutcome> TakeStep(AdamW& optimizer, models::Lora* lora, absl::Span<const LossPart> parts,
                                     int64_t micro_batch_tokens, int64_t total_steps,
                                     const ProgressFn& progress) {
  optimizer.ZeroGrad();
  const absl::Cleanup clear = [&] { optimizer.ZeroGrad(); };
  return Guarded(
      [&] { return TakeStepUnguarded(optimizer, lora, parts, micro_batch_tokens, total_steps, progress); });
}

}  // namespace rein::training
