// From the files of a model folder into the tensors of a model.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "absl/status/status.h"
#include "models/safetensors.h"
#include "models/vision_language_model.h"

namespace rein::models {

// One tensor of a file, and the tensor that takes its values: of the same shape, contiguous, floating point,
// on any device and of any dtype. The file outlives it.
struct WeightRead {
  const SafetensorsFile* file = nullptr;
  const SafetensorsEntry* entry = nullptr;
  at::Tensor target;
};

// Maps what the model can use as it lies in its file (models/weight_mapping.h), reads and converts the rest,
// and checks all of it in chunks, with the threads of at::parallel_for; beside the targets only a chunk a
// thread is in memory. `progress` may be empty; it is called on this thread. Errors, naming
// file and tensor: INVALID_ARGUMENT (values that are NaN, infinite or too large for the target's dtype, with
// their number; a file that became shorter), UNAVAILABLE (I/O), RESOURCE_EXHAUSTED (memory).
absl::Status ReadWeights(const std::vector<WeightRead>& reads, const LoadProgressFn& progress);

}  // namespace rein::models
