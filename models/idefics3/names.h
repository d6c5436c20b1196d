// The spellings of tensor names that Idefics3 folders use.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace rein::models {

// "model.vision_model.…", "model.connector.…", "model.text_model.…", "lm_head.weight", also from names behind
// the "model." that reward model classes put in front, and from those of a model saved without its head.
// Other names come back without leading "model.".
std::string CanonicalIdefics3Name(absl::string_view name);

// Buffers that old folders hold and that follow from the configuration.
bool IsDerivedIdefics3Buffer(absl::string_view canonical_name);

}  // namespace rein::models
