// Pictures that make_image_fixtures.py makes as well.
#pragma once

#include "data/image.h"

namespace rein::models {

inline data::RgbImage MakePicture(int width, int height) {
  data::RgbImage image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        const int coarse = (x * 5 + y * 3 + c * 80) % 256;
        const int fine = (x * x * 7 + y * y * 13 + x * y * 3 + c * 29) % 256;
        image.pixels.push_back(static_cast<uint8_t>((x / 8 + y / 8) % 2 == 0 ? coarse : fine));
      }
    }
  }
  return image;
}

}  // namespace rein::models
