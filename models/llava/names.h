// The spellings of tensor names that folders of LLaVA and LLaVA-NeXT use.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace rein::models {

// "language_model.model.…", "vision_tower.vision_model.…": the classic spelling, from the classic one, from
// that of newer transformers ("model.language_model.…", "lm_head.weight", a tower without "vision_model."),
// and from either behind the "model." that reward model classes put in front. Other names come back without
// leading "model.".
std::string CanonicalLlavaName(absl::string_view name);

// "vision" or "projector", or "" for tensors of the language model. LLaVA-NeXT's newlines, features among
// those of pictures, belong to the projector.
std::string LlavaVisionPart(absl::string_view canonical_name);

// Buffers that old folders hold and that follow from the configuration.
bool IsDerivedLlavaBuffer(absl::string_view canonical_name);

}  // namespace rein::models
