#include "data/jpeg.h"

#include <turbojpeg.h>

#include <memory>

namespace rein::data {
namespace {

struct EndDecompressor {
  void operator()(void* decompressor) const { tjDestroy(decompressor); }
};

bool IsUsual(const ImageHeader& header, int width, int height, int colours) {
  return width == header.width && height == header.height && colours != TJCS_CMYK && colours != TJCS_YCCK;
}

}  // namespace

std::optional<RgbImage> DecodeJpeg(const ImageHeader& header, absl::string_view encoded) {
  if (header.media_type != "image/jpeg" || header.has_exif) return std::nullopt;
  const std::unique_ptr<void, EndDecompressor> decompressor(tjInitDecompress());
  const auto* bytes = reinterpret_cast<const unsigned char*>(encoded.data());
  int width = 0, height = 0, subsampling = 0, colours = 0;
  if (decompressor == nullptr ||
      tjDecompressHeader3(decompressor.get(), bytes, encoded.size(), &width, &height, &subsampling,
                          &colours) != 0 ||
      !IsUsual(header, width, height, colours)) {
    return std::nullopt;
  }
  RgbImage image{width, height, Pixels(3 * static_cast<size_t>(width) * static_cast<size_t>(height))};
  // All pixels are written where there is not even a warning.
  if (tjDecompress2(decompressor.get(), bytes, encoded.size(), image.pixels.data(), width, /*pitch=*/0,
                    height, TJPF_RGB, /*flags=*/0) != 0) {
    return std::nullopt;
  }
  return image;
}

}  // namespace rein::data
