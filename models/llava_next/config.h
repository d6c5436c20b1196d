// config.json of a LLaVA-NeXT folder, with every default applied.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "models/image/any_resolution.h"
#include "models/json.h"
#include "models/llava/config.h"

namespace rein::models {

struct LlavaNextConfig {
  LlavaConfig llava;  // what LLaVA-1.5 has too
  Tiling tiling;      // tiles are as large as the vision tower's pictures
};

// Reads old and new spellings. `where` names the file in messages. Errors: INVALID_ARGUMENT (impossible
// value), UNIMPLEMENTED (an option of the format that is not supported).
absl::StatusOr<LlavaNextConfig> ParseLlavaNextConfig(const Json& json, const std::string& where);

}  // namespace rein::models
