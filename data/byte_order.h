// Numbers in the headers of pictures. Not for other folders.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace rein::data {

// The `count` bytes from `at` on, which must be there; 4 at most.
inline uint32_t BigEndian(absl::string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i)
    value = (value << 8) | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
  return value;
}

inline uint32_t LittleEndian(absl::string_view bytes, size_t at, int count) {
  uint32_t value = 0;
  for (int i = count - 1; i >= 0; --i)
    value = (value << 8) | static_cast<uint8_t>(bytes[at + static_cast<size_t>(i)]);
  return value;
}

}  // namespace rein::data
