// Settings of CLIP's vision tower and of those built like it.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "models/activation.h"
#include "models/json.h"

namespace rein::models {

// Defaults are those of transformers' CLIPVisionConfig.
struct ClipVisionConfig {
  int64_t hidden = 768;
  int64_t intermediate = 3072;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t image_size = 224;  // pixels, square
  int64_t patch_size = 32;
  Activation activation = Activation::kQuickGelu;
  double layer_norm_eps = 1e-5;
  double initializer_range = 0.02;

  int64_t side_patches() const { return image_size / patch_size; }
  int64_t patches() const { return side_patches() * side_patches(); }
};

// Reads what `vision` holds into `config`, whose values on entry are the family's defaults; `activation`
// names the default one. Errors: INVALID_ARGUMENT (impossible value), UNIMPLEMENTED (activation, dropout).
absl::Status ReadClipVisionConfig(const Fields& vision, const char* activation, ClipVisionConfig& config);

}  // namespace rein::models
