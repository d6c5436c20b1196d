// The usual kind of PNG, straight into the memory of a picture.
#pragma once

#include <optional>

#include "absl/strings/string_view.h"
#include "data/image.h"
#include "data/image_header.h"

namespace rein::data {

// The picture of `header`'s size, inflated by libdeflate; the values are those of OpenCV and PIL. nullopt
// where it is not a usual one: 8-bit RGB, not interlaced, not to be turned (eXIf), without any flaw. OpenCV,
// which also takes those, inflates with zlib, which takes half of its time (docs/decisions/0020).
std::optional<RgbImage> DecodePng(const ImageHeader& header, absl::string_view encoded);

}  // namespace rein::data
