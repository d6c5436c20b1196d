// The CLIP image processor: resize as PIL does, center crop, rescale, normalise.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "data/image.h"
#include "models/json.h"

namespace rein::models {

// How an output pixel is made from input pixels; numbers are PIL's.
enum class Resample { kLanczos = 1, kBilinear = 2, kBicubic = 3 };

// The window [left, left + columns) x [top, top + rows) of `image` resized to width x height, equal to what
// PIL's resize gives there: antialiased, 8-bit rounding after either direction. The window lies inside. Work
// and memory grow with the window and the input, not with width x height.
struct Window {
  int left = 0, top = 0, columns = 0, rows = 0;
};
data::RgbImage ResizeWindow(const data::RgbImage& image, int width, int height, Resample resample,
                            const Window& window);

class ClipImageProcessor {
 public:
  // Reads preprocessor_config.json's keys with CLIPImageProcessor's defaults. Errors: INVALID_ARGUMENT,
  // UNIMPLEMENTED.
  static absl::StatusOr<ClipImageProcessor> Parse(const Fields& fields);

  // float32 [1, 3, height, width]. Errors: INVALID_ARGUMENT (empty or extreme image).
  absl::StatusOr<at::Tensor> Process(const data::RgbImage& image) const;

  // Size of the result when it does not depend on the picture, else 0.
  int64_t output_height() const { return crop_ ? crop_height_ : resized_height_; }
  int64_t output_width() const { return crop_ ? crop_width_ : resized_width_; }

 private:
  absl::Status ParseSizes(const Fields& fields);
  absl::Status ParseScaling(const Fields& fields);
  absl::StatusOr<data::RgbImage> ResizeAndCrop(const data::RgbImage& image) const;

  bool resize_ = true, crop_ = true;
  int64_t shortest_edge_ = 224;                     // 0: resize to the fixed size below
  int64_t resized_height_ = 0, resized_width_ = 0;  // pixels
  int64_t crop_height_ = 224, crop_width_ = 224;    // pixels
  Resample resample_ = Resample::kBicubic;
  double rescale_ = 1.0 / 255.0;
  std::vector<double> mean_, deviation_;  // one a channel
};

}  // namespace rein::models
