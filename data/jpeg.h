// The usual kinds of JPEG, straight into the memory of a picture.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "data/image.h"
#include "data/image_header.h"

namespace rein::data {

// The picture of `header`'s size, by libjpeg-turbo; the values are those of OpenCV and PIL, which decode with
// the same library. nullopt where it is not a usual one: to be turned (EXIF), CMYK, or with any flaw. OpenCV,
// which also takes those, exchanges red and blue one by one after decoding, which takes longer than the
// decoding.
std::optional<RgbImage> DecodeJpeg(const ImageHeader& header, absl::string_view encoded);

}  // namespace rein::data
