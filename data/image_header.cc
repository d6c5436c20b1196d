#include "data/image_header.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/byte_order.h"
#include "data/image.h"

namespace rein::data {
namespace {

constexpr absl::string_view kPng("\x89PNG\r\n\x1a\n", 8);
constexpr absl::string_view kJpeg("\xff\xd8\xff", 3);

absl::Status CutOff(absl::string_view format) {
  return absl::InvalidArgumentError(absl::StrCat("broken ", format, ": its header is cut off or impossible"));
}

uint32_t Byte(absl::string_view bytes, size_t at) { return static_cast<uint8_t>(bytes[at]); }

// What the tRNS chunk before the pixels holds, which makes a palette or a colour transparent; empty without
// one.
absl::string_view TransparencyChunk(absl::string_view png) {
  size_t at = kPng.size();
  while (at + 8 <= png.size()) {
    const absl::string_view name = png.substr(at + 4, 4);
    const size_t length = BigEndian(png, at, 4);
    if (name == "tRNS") return png.substr(at + 8, length);
    if (name == "IDAT") break;
    at += length + 12;
  }
  return {};
}

absl::StatusOr<ImageHeader> ReadPng(absl::string_view bytes) {
  if (bytes.size() < 33 || bytes.substr(12, 4) != "IHDR") return CutOff("PNG");
  const uint32_t depth = Byte(bytes, 24), colour_type = Byte(bytes, 25);
  const absl::string_view transparency = TransparencyChunk(bytes);
  ImageHeader header{"image/png", BigEndian(bytes, 16, 4), BigEndian(bytes, 20, 4)};
  header.has_alpha = colour_type == 4 || colour_type == 6 || !transparency.empty();
  if (colour_type == 0 && depth == 8 && transparency.size() == 2)
    header.transparent_level = static_cast<int>(BigEndian(transparency, 0, 2));
  return header;
}

// Start-of-frame markers carry the size; C4, C8 and CC are tables.
bool IsStartOfFrame(uint32_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

absl::StatusOr<ImageHeader> ReadJpeg(absl::string_view bytes) {
  size_t at = 2;
  bool has_exif = false;
  while (at + 4 <= bytes.size()) {
    if (Byte(bytes, at) != 0xFF) return CutOff("JPEG");
    const uint32_t marker = Byte(bytes, at + 1);
    if (marker == 0xFF) {  // fill byte
      ++at;
      continue;
    }
    const uint32_t length = BigEndian(bytes, at + 2, 2);
    if (length < 2) return CutOff("JPEG");
    if (IsStartOfFrame(marker)) {
      if (at + 9 > bytes.size()) return CutOff("JPEG");
      return ImageHeader{.media_type = "image/jpeg",
                         .width = BigEndian(bytes, at + 7, 2),
                         .height = BigEndian(bytes, at + 5, 2),
                         .has_exif = has_exif};
    }
    has_exif |= marker == 0xE1 && absl::StartsWith(bytes.substr(at + 4), "Exif");
    at += 2 + length;
  }
  return CutOff("JPEG");
}

absl::StatusOr<ImageHeader> ReadWebp(absl::string_view bytes) {
  if (bytes.size() < 30) return CutOff("WebP");
  const absl::string_view kind = bytes.substr(12, 4);
  if (kind == "VP8 ") {
    return ImageHeader{"image/webp", LittleEndian(bytes, 26, 2) & 0x3FFF, LittleEndian(bytes, 28, 2) & 0x3FFF,
                       false};
  }
  if (kind == "VP8L") {
    const uint32_t bits = LittleEndian(bytes, 21, 4);
    return ImageHeader{"image/webp", (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1,
                       ((bits >> 28) & 1) != 0};
  }
  if (kind == "VP8X") {
    return ImageHeader{"image/webp", int64_t{LittleEndian(bytes, 24, 3)} + 1,
                       int64_t{LittleEndian(bytes, 27, 3)} + 1, (Byte(bytes, 20) & 0x10) != 0};
  }
  return CutOff("WebP");
}

}  // namespace

absl::StatusOr<std::string> ImageMediaType(absl::string_view encoded) {
  if (absl::StartsWith(encoded, kPng)) return std::string("image/png");
  if (absl::StartsWith(encoded, kJpeg)) return std::string("image/jpeg");
  if (encoded.size() >= 12 && absl::StartsWith(encoded, "RIFF") && encoded.substr(8, 4) == "WEBP") {
    return std::string("image/webp");
  }
  if (encoded.empty()) return absl::InvalidArgumentError("the image is empty; allowed: PNG, JPEG, WebP");
  return absl::InvalidArgumentError(absl::StrCat("not an image of an allowed format (begins with \"",
                                                 absl::CHexEscape(encoded.substr(0, 8)),
                                                 "\"); allowed: PNG, JPEG, WebP"));
}

absl::StatusOr<ImageHeader> ReadImageHeader(absl::string_view encoded) {
  REIN_ASSIGN_OR_RETURN(const std::string media_type, ImageMediaType(encoded));
  if (media_type == "image/png") return ReadPng(encoded);
  if (media_type == "image/jpeg") return ReadJpeg(encoded);
  return ReadWebp(encoded);
}

}  // namespace rein::data
