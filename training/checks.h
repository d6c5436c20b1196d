// Checks of what trainers are given, and how they name culprits.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "training/rl_trainer.h"

namespace rein::training {

// At most three names, then a count: "a, b, c and 4 more".
std::string FirstNames(const std::vector<std::string>& names);

// DATA_LOSS: `what`, caused by the samples `names` (empty: by none alone), and that the step was not taken.
absl::Status NotFiniteError(absl::string_view what, const std::vector<std::string>& names);

bool AllFinite(const std::vector<float>& values);

// OK, or INVALID_ARGUMENT with the sequence's id: prompt or response empty, or a response token outside
// `vocab_size` or (where `allowed`, bool [vocab_size] on the CPU, is defined) one that cannot have been
// sampled.
absl::Status CheckSequence(const Sequence& sequence, int64_t vocab_size, const at::Tensor& allowed);

// INVALID_ARGUMENT unless there is one value for each response token.
absl::Status CheckLength(const Sequence& sequence, const std::vector<float>& values, absl::string_view what);

// `allowed` where CheckSequence can read it; undefined stays undefined.
at::Tensor HostMask(const at::Tensor& allowed);

}  // namespace rein::training
