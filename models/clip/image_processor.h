// The CLIP image processor: resize as PIL does, center crop, rescale, normalise.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "models/image/pixels.h"
#include "models/image/resample.h"
#include "models/json.h"
#include "models/processed_image.h"

namespace rein::models {

class ClipImageProcessor {
 public:
  // Reads preprocessor_config.json's keys with CLIPImageProcessor's defaults. Errors: INVALID_ARGUMENT,
  // UNIMPLEMENTED.
  static absl::StatusOr<ClipImageProcessor> Parse(const Fields& fields);

  // pixels: levels [1, 3, height, width]; feature_count and grid are the model's matter. Errors:
  // INVALID_ARGUMENT (empty or extreme image).
  absl::StatusOr<ProcessedImage> Process(const data::RgbImage& image) const;

  // Size of the result when it does not depend on the picture, else 0.
  int64_t output_height() const { return crop_ ? crop_height_ : resized_height_; }
  int64_t output_width() const { return crop_ ? crop_width_ : resized_width_; }

  // Settings that any-resolution tiling needs; a shortest edge of 0 stands for a fixed size.
  int64_t shortest_edge() const { return shortest_edge_; }
  int64_t resized_height() const { return resized_height_; }
  int64_t resized_width() const { return resized_width_; }
  int64_t crop_height() const { return crop_height_; }
  Resample resample() const { return resample_; }

 private:
  absl::Status ParseSizes(const Fields& fields);
  absl::StatusOr<data::RgbImage> ResizeAndCrop(const data::RgbImage& image) const;

  bool resize_ = true, crop_ = true;
  int64_t shortest_edge_ = 224;                     // 0: resize to the fixed size below
  int64_t resized_height_ = 0, resized_width_ = 0;  // pixels
  int64_t crop_height_ = 224, crop_width_ = 224;    // pixels
  Resample resample_ = Resample::kBicubic;
  at::Tensor tables_;  // of ProcessedImage
};

}  // namespace rein::models
