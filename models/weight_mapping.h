// Weights that lie in a file as the model wants them: the file is the model's memory.
#pragma once

#include <vector>

#include "models/weight_reader.h"

namespace rein::models {

// Gives the storages of targets that a file holds from their first to their last byte (one tensor, or several
// that lie one below the other in the model and in the file) to the file's mapping: on the CPU, of the file's
// dtype, at least 1 MiB, and aligned. All tensors on such a storage see the file's values from then on;
// writing to them copies pages. Returns for each read whether its target has its values; the others are left
// as they were. docs/decisions/0014-map-weights-or-read-them.md
std::vector<bool> MapWeights(const std::vector<WeightRead>& reads);

}  // namespace rein::models
