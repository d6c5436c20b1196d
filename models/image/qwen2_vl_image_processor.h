// Qwen2-VL's image processor: a size that fits the patches, and patches in the order of their merging.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "models/image/any_resolution.h"
#include "models/image/pixels.h"
#include "models/json.h"
#include "models/vision_language_model.h"

namespace rein::models {

// Sides that are multiples of `factor`, with about the aspect of `original` and from `min_pixels` to
// `max_pixels` pixels. Errors: INVALID_ARGUMENT (one side over 200 times the other).
absl::StatusOr<Resolution> SmartResize(Resolution original, int64_t factor, int64_t min_pixels,
                                       int64_t max_pixels);

class Qwen2VlImageProcessor {
 public:
  // Reads preprocessor_config.json's keys with Qwen2VLImageProcessor's defaults. Errors: INVALID_ARGUMENT,
  // UNIMPLEMENTED.
  static absl::StatusOr<Qwen2VlImageProcessor> Parse(const Fields& fields);

  // pixels: levels [patches, 3 * temporal_patch_size * patch_size^2], squares of merge_size^2 patches end to
  // end, each patch as (channel, time, y, x). grid: {1, patches down, patches across}; feature_count:
  // patches / merge_size^2. Errors: INVALID_ARGUMENT (empty, extreme, or of no fitting size).
  absl::StatusOr<ProcessedImage> Process(const data::RgbImage& image) const;

  int64_t patch_size() const { return patch_size_; }
  int64_t temporal_patch_size() const { return temporal_patch_size_; }
  int64_t merge_size() const { return merge_size_; }

 private:
  absl::Status ParsePixels(const Fields& fields);
  absl::StatusOr<data::RgbImage> ToFittingSize(const data::RgbImage& image) const;
  void WritePatch(const data::RgbImage& image, int64_t row, int64_t column, uint8_t* levels) const;

  bool resize_ = true;
  int64_t min_pixels_ = 56 * 56, max_pixels_ = 28 * 28 * 1280;
  int64_t patch_size_ = 14, temporal_patch_size_ = 2, merge_size_ = 2;
  Resample resample_ = Resample::kBicubic;
  at::Tensor tables_;  // of ProcessedImage
};

}  // namespace rein::models
