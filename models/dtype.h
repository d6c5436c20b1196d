// The dtypes of models by the names that configurations and flags have for them.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "absl/status/statusor.h"

namespace rein::models {

// "float32", "bfloat16" or "float16". Errors: UNIMPLEMENTED (any other name: lists these).
absl::StatusOr<at::ScalarType> ParseDtype(const std::string& name);
// The same back, for one of the three.
const char* DtypeName(at::ScalarType dtype);

}  // namespace rein::models
