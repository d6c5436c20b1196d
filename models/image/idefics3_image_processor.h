// Idefics3's and SmolVLM's image processor: square tiles of the enlarged picture, then the whole picture.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "models/image/any_resolution.h"
#include "models/image/pixels.h"
#include "models/json.h"
#include "models/vision_language_model.h"

namespace rein::models {

class Idefics3ImageProcessor {
 public:
  // Reads preprocessor_config.json's keys with Idefics3ImageProcessor's defaults. `frame_features` are the
  // placeholders of one frame (image_seq_len of processor_config.json). Errors: INVALID_ARGUMENT,
  // UNIMPLEMENTED.
  static absl::StatusOr<Idefics3ImageProcessor> Parse(const Fields& fields, int64_t frame_features);

  // pixels: levels [frames, 3, side, side], tiles row by row and the whole picture last. grid: {rows,
  // columns, 0} of tiles, {0, 0, 0} where there is only the whole picture. feature_count: frame_features a
  // frame. Errors: INVALID_ARGUMENT (empty or extreme image).
  absl::StatusOr<ProcessedImage> Process(const data::RgbImage& image) const;

  int64_t side() const { return side_; }  // pixels of a frame

 private:
  absl::Status ParseSize(const Fields& fields);
  Resolution FirstSize(Resolution original) const;

  bool resize_ = true, split_ = true;
  int64_t longest_edge_ = 4 * 364;                  // 0: resize to the fixed size below
  int64_t resized_height_ = 0, resized_width_ = 0;  // pixels
  int64_t side_ = 364;
  int64_t frame_features_ = 0;
  Resample resample_ = Resample::kLanczos;
  at::Tensor tables_;  // of ProcessedImage
};

}  // namespace rein::models
