// config.json of a LLaVA-1.5-layout folder, and the part of LLaVA-NeXT's that is the same, with every default
// applied.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "models/clip/vision_tower.h"
#include "models/json.h"
#include "models/llama/decoder.h"

namespace rein::models {

struct LlavaConfig {
  LlamaConfig text;
  ClipVisionConfig vision;
  int64_t image_token_id = 32000;
  // Hidden states of the vision tower whose concatenation is projected; 0 is the input of the first block.
  std::vector<int64_t> feature_layers;
  bool keep_class_token = false;  // vision_feature_select_strategy "full"
  Activation projector_activation = Activation::kGelu;
  bool projector_bias = true;

  // Placeholders that a picture takes in a prompt.
  int64_t feature_count() const { return vision.patches() + (keep_class_token ? 1 : 0); }
};

// Reads old and new spellings. `where` names the file in messages. Errors: INVALID_ARGUMENT (impossible
// value), UNIMPLEMENTED (an option of the format that is not supported).
absl::StatusOr<LlavaConfig> ParseLlavaConfig(const Json& json, const std::string& where);

}  // namespace rein::models
