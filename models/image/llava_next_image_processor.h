// LLaVA-NeXT's image processor: the whole picture, then tiles of the best of several resolutions.
#pragma once

#include <cstdint>
#include <vector>

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

  // pixels: float32 [1 + tiles, 3, side, side], the whole picture first, then tiles row by row.
  // grid: {height, width, 0} of the original picture, which the model needs to unpad; feature_count has the
  // newlines. Errors: INVALID_ARGUMENT (empty or extreme image).
  absl::StatusOr<ProcessedImage> Process(const data::RgbImage& image) const;

  // Where a picture's features lie among those of its tiles.
  FeatureWindow Features(Resolution original) const;

  int64_t tile_side() const { return tile_side_; }  // pixels
  const std::vector<Resolution>& pinpoints() const { return pinpoints_; }

 private:
  LlavaNextImageProcessor(ClipImageProcessor clip, int64_t patch_size, int64_t base_features)
      : clip_(std::move(clip)), patch_size_(patch_size), base_features_(base_features) {}
  absl::Status ParsePinpoints(const Fields& fields);
  absl::Status CheckTiles(const Fields& fields) const;

  ClipImageProcessor clip_;  // of every tile
  int64_t patch_size_, base_features_;
  int64_t tile_side_ = 0;
  std::vector<Resolution> pinpoints_;
};

}  // namespace rein::models
