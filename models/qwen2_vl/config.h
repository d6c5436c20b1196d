// config.json of a Qwen2-VL folder, with every default applied.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/json.h"
#include "models/llama/decoder.h"
#include "models/qwen2_vl/vision_tower.h"

namespace rein::models {

struct Qwen2VlConfig {
  LlamaConfig text;
  Qwen2VlVisionConfig vision;
  int64_t image_token_id = 151655;
  int64_t video_token_id = 151656;
};

// Reads old and new spellings, text settings at the root or under text_config. `where` names the file in
// messages. Errors: INVALID_ARGUMENT (impossible value), UNIMPLEMENTED (an option of the format that is not
// supported).
absl::StatusOr<Qwen2VlConfig> ParseQwen2VlConfig(const Json& json, const std::string& where);

}  // namespace rein::models
