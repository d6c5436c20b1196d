#include "training/step.h"

#include <ATen/ATen.h>

#include <cmath>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "kernels/precision.h"
#include "training/checks.h"
#include "training/guard.h"
#include "training/packing.h"

namespace rein::training {
namespace {

// Adds the gradient of items [begin, end) and returns their loss.
absl::StatusOr<double> AddGradient(const LossPart& part, size_t begin, size_t end) {
  REIN_ASSIGN_OR_RETURN(const at::Tensor loss, part.loss(begin, end));
  const double value = loss.item<double>(), factor = part.scale * part.share;
  if (std::isfinite(value)) (factor == 1 ? loss : loss * factor).backward();
  return value * part.share;
}

// One step of one rank, or of a process alone.
class StepTaker {
 public:
  StepTaker(AdamW& optimizer, models::Lora* lora, absl::Span<const LossPart> parts, Ranks& ranks)
      : optimizer_(optimizer), lora_(lora), parts_(parts), ranks_(ranks) {}

  absl::StatusOr<StepOutcome> Run(int64_t micro_batch_tokens, int64_t total_steps,
                                  const ProgressFn& progress) {
    StepOutcome outcome{std::vector<double>(parts_.size()), {}};
    REIN_RETURN_IF_ERROR(
        ranks_.Agree(Guarded([&] { return AddGradients(micro_batch_tokens, progress, outcome.losses); })));
    REIN_RETURN_IF_ERROR(SumLosses(outcome.losses));
    for (const double loss : outcome.losses) {
      if (!std::isfinite(loss)) return BlameItems("loss not finite");
    }
    REIN_RETURN_IF_ERROR(ranks_.SumGradients(optimizer_.parameters()));
    absl::StatusOr<AdamW::StepResult> update = optimizer_.Step(total_steps);
    if (absl::IsDataLoss(update.status())) return BlameItems(update.status().message());
    if (!update.ok()) return update.status();
    if (lora_) lora_->Merge();
    outcome.update = *update;
    return outcome;
  }

 private:
  // Of this rank's items, up to the first micro-batch whose loss is not finite.
  absl::Status AddGradients(int64_t micro_batch_tokens, const ProgressFn& progress,
                            std::vector<double>& losses) {
    std::vector<std::vector<MicroBatch>> packs;
    int total = 0, done = 0;
    for (const LossPart& part : parts_) {
      packs.push_back(PackByTokens(part.item_tokens, micro_batch_tokens));
      total += static_cast<int>(packs.back().size());
    }
    for (size_t p = 0; p < parts_.size(); ++p) {
      for (const MicroBatch& items : packs[p]) {
        if (lora_) lora_->StartPass(optimizer_.steps(), int64_t{done} * ranks_.world() + ranks_.rank());
        REIN_ASSIGN_OR_RETURN(const double loss, AddGradient(parts_[p], items.begin, items.end));
        losses[p] += loss;
        if (!std::isfinite(loss)) return absl::OkStatus();
        ++done;
        if (progress) progress(done, total);
      }
    }
    return absl::OkStatus();
  }

  absl::Status SumLosses(std::vector<double>& losses) {
    Metrics sums;
    for (size_t p = 0; p < losses.size(); ++p) sums[absl::StrCat(p)] = losses[p];
    REIN_ASSIGN_OR_RETURN(sums, ranks_.Sum(sums));
    for (size_t p = 0; p < losses.size(); ++p) losses[p] = sums[absl::StrCat(p)];
    return absl::OkStatus();
  }

  // An item is to blame when its loss or gradient is not finite without the others either.
  bool IsFiniteAlone(const LossPart& part, size_t item) {
    optimizer_.ZeroGrad();
    const absl::StatusOr<double> loss = Guarded([&] { return AddGradient(part, item, item + 1); });
    return loss.ok() && std::isfinite(*loss) && std::isfinite(optimizer_.GradientNorm());
  }

  // `what` with the names of the items that caused it, on whichever rank. Only after a failure: it computes
  // every item again.
  absl::Status BlameItems(absl::string_view what) {
    std::vector<std::string> names;
    for (const LossPart& part : parts_) {
      for (size_t i = 0; i < part.item_tokens.size(); ++i) {
        if (!IsFiniteAlone(part, i)) names.push_back(part.item_name(i));
      }
    }
    REIN_ASSIGN_OR_RETURN(const std::vector<std::string> all, ranks_.Gather(absl::StrJoin(names, "\n")));
    return NotFiniteError(what, absl::StrSplit(absl::StrJoin(all, "\n"), '\n', absl::SkipEmpty()));
  }

  AdamW& optimizer_;
  models::Lora* const lora_;
  const absl::Span<const LossPart> parts_;
  Ranks& ranks_;
};

}  // namespace

absl::StatusOr<StepOutcome> TakeStep(AdamW& optimizer, models::Lora* lora, absl::Span<const LossPart> parts,
                                     int64_t micro_batch_tokens, int64_t total_steps,
                                     const ProgressFn& progress, Ranks* ranks) {
  Ranks alone;
  optimizer.ZeroGrad();
  const absl::Cleanup clear = [&] { optimizer.ZeroGrad(); };
  const kernels::ProductPrecision precision(optimizer.options().precision);
  StepTaker step(optimizer, lora, parts, ranks == nullptr ? alone : *ranks);
  return Guarded([&] { return step.Run(micro_batch_tokens, total_steps, progress); });
}

}  // namespace rein::training
