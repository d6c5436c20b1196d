// What an encoded picture says about itself, read without decoding a pixel.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::data {

struct ImageHeader {
  std::string media_type;  // "image/png", "image/jpeg" or "image/webp"
  int64_t width = 0;       // pixels, as stored: before EXIF orientation
  int64_t height = 0;
  bool has_alpha = false;
  bool has_exif = false;       // of a JPEG: may say that the picture is to be turned
  int transparent_level = -1;  // of a grey 8-bit PNG; -1: none
};

// Errors: INVALID_ARGUMENT (another or no image format, header cut off or impossible).
absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view encoded);

}  // namespace rein::data
