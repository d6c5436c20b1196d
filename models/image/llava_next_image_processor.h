// LLaVA-NeXT's image processor: the whole picture, then tiles of the best of several resolutions.
#pragma once

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "models/clip/image_processor.h"
#include "models/image/any_resolution.h"
#include "models/json.h"
#include "models/vision_language_model.h"

namespace rein::models {

class LlavaNextImageProcessor {
 public:
  // Reads preprocessor_config.json's keys with LlavaNextImageProcessor's defaults. `patch_size` is the vision
  // tower's; `base_features` are the features of one tile (with the class token where the model keeps it).
  // Errors: INVALID_ARGUMENT, UNIMPLEMENTED.
  static absl::StatusOr<LlavaNextImageProcessor> Parse(const Fields& fields, int64_t patch_size,
                                                       int64_t base_features);

  // pixels: levels [1 + tiles, 3, side, side], the whole picture first, then tiles row by row.
  // grid: {height, width, 0} of the original picture, which the model needs to unpad; feature_count has the
  // newlines. Errors: INVALID_ARGUMENT (empty or extreme image).
  absl::StatusOr<ProcessedImage> Process(const data::RgbImage& image) const;

  const Tiling& tiling() const { return tiling_; }

 private:
  LlavaNextImageProcessor(ClipImageProcessor clip, Tiling tiling, int64_t base_features)
      : clip_(std::move(clip)), tiling_(std::move(tiling)), base_features_(base_features) {}
  absl::Status CheckTile(const Fields& fields) const;

  ClipImageProcessor clip_;  // of every tile
  Tiling tiling_;
  int64_t base_features_;
};

}  // namespace rein::models
