// Images from outside bytes: decoded inside a guard.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/kept_blocks.h"

namespace rein::data {

// Without initial values, in blocks that are used again.
using Pixels = std::vector<uint8_t, KeptBlocks<uint8_t>>;

// 8-bit RGB, rows top to bottom, no padding: pixels.size() == 3 * width * height.
struct RgbImage {
  int width = 0;
  int height = 0;
  Pixels pixels;
};

// "image/png", "image/jpeg" or "image/webp", from the first bytes.
// Errors: INVALID_ARGUMENT (another or no image format; names the allowed ones).
absl::StatusOr<std::string> ImageMediaType(absl::string_view encoded);

struct ImageLimits {
  int64_t max_pixels = 64 * 1000 * 1000;
  int64_t max_encoded_bytes = 64 << 20;
};

// Decodes PNG, JPEG or WebP; applies EXIF orientation; what is transparent is put on white, as transformers'
// image processors do. The size is read from the header before any pixel is decoded. Errors: INVALID_ARGUMENT
// (not an image, broken, over the limits; says which).
absl::StatusOr<RgbImage> DecodeImage(absl::string_view encoded, const ImageLimits& limits = {});

// PNG bytes. Errors: INTERNAL.
absl::StatusOr<std::string> EncodePng(const RgbImage& image);

}  // namespace rein::data
