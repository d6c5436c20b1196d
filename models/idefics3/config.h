// config.json of an Idefics3 or SmolVLM folder, with every default applied.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "models/clip/config.h"
#include "models/json.h"
#include "models/llama/decoder.h"

namespace rein::models {

struct Idefics3Config {
  std::string model_type = "idefics3";
  LlamaConfig text;
  // Those of transformers' Idefics3VisionConfig. The tower is SigLIP's, whose settings are called as CLIP's.
  ClipVisionConfig vision = {
      .hidden = 1152, .heads = 16, .activation = Activation::kGeluTanh, .layer_norm_eps = 1e-6};
  int64_t scale_factor = 2;  // that many patches down and across become one feature
  int64_t image_token_id = 128257;

  // Features of a square frame with `side_patches` patches along its side.
  int64_t FrameFeatures(int64_t side_patches) const {
    return side_patches / scale_factor * (side_patches / scale_factor);
  }
};

// `where` names the file in messages. Errors: INVALID_ARGUMENT (impossible value), UNIMPLEMENTED (an option
// of the format that is not supported).
absl::StatusOr<Idefics3Config> ParseIdefics3Config(const Json& json, const std::string& where);

}  // namespace rein::models
