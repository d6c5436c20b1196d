// Pictures made for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/image.h"

namespace rein::system_test {

// PNG bytes of a picture of one grey.
inline std::string GreyPng(int width, int height) {
  const size_t bytes = size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height);
  return data::EncodePng({.width = width, .height = height, .pixels = data::Pixels(bytes, 90)}).value_or("");
}

}  // namespace rein::system_test
