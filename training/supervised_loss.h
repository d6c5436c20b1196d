// Causal cross-entropy on response tokens: SFT and PTX.
#pragma once

#include <vector>

#include "training/sequence_forward.h"
#include "training/step.h"

namespace rein::training {

// Of one forward pass: the sum of -log p over all response tokens, divided by `tokens`. float32 scalar,
// differentiable.
absl::StatusOr<at::Tensor> SupervisedLoss(SequenceForward& forward,
                                          absl::Span<const Sequence* const> sequences, double tokens);

// Mean over all response tokens of `sequences`. Forward and sequences outlive the part.
LossPart SupervisedLoss(SequenceForward& forward, std::vector<const Sequence*> sequences);

}  // namespace rein::training
