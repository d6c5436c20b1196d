// Resizing as PIL does it: antialiased, in 8-bit fixed point.
#pragma once

#include "data/image.h"

namespace rein::models {

// How an output pixel is made from input pixels; numbers are PIL's.
enum class Resample { kLanczos = 1, kBilinear = 2, kBicubic = 3 };

// The part [left, left + columns) x [top, top + rows) of a picture.
struct Window {
  int left = 0, top = 0, columns = 0, rows = 0;
};

// The pixels of `window`, which lies inside.
data::RgbImage Crop(const data::RgbImage& image, const Window& window);

// `image` resized to width x height, equal to what PIL gives byte for byte. Sides must be at least 1.
data::RgbImage Resize(const data::RgbImage& image, int width, int height, Resample resample);

// `window` of that. It lies inside. Work and memory grow with the window and the input, not with
// width x height.
data::RgbImage ResizeWindow(const data::RgbImage& image, int width, int height, Resample resample,
                            const Window& window);

}  // namespace rein::models
