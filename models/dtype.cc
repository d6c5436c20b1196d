#include "models/dtype.h"

#include "absl/strings/str_cat.h"

namespace rein::models {

absl::StatusOr<at::ScalarType> ParseDtype(const std::string& name) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16, at::kHalf}) {
    if (name == DtypeName(dtype)) return dtype;
  }
  return absl::UnimplementedError(
      absl::StrCat("dtype \"", name, "\" is not supported; supported: float32, bfloat16, float16"));
}

const char* DtypeName(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return "bfloat16";
  return dtype == at::kHalf ? "float16" : "float32";
}

}  // namespace rein::models
