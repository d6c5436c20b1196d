// The spellings of tensor names that Qwen2-VL folders use.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace rein::models {

// "visual.…", "model.layers.…", "lm_head.weight": the classic spelling, from the classic one, from that of
// newer transformers ("model.visual.…", "model.language_model.…"), and from either behind the "model." that
// reward model classes put in front. Other names come back without leading "model.".
std::string CanonicalQwen2VlName(absl::string_view name);

// Buffers that old folders hold and that follow from the configuration.
bool IsDerivedQwen2VlBuffer(absl::string_view canonical_name);

}  // namespace rein::models
