// Causal cross-entropy on response tokens: SFT and PTX.
#pragma once

#include <vector>

#include "training/sequence_forward.h"
#include "training/step.h"

namespace rein::training {

// Mean over all response tokens of `sequences`. Forward and sequences outlive the part.
LossPart SupervisedLoss(SequenceForward& forward, std::vector<const Sequence*> sequences);

}  // namespace rein::training
