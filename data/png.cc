#include "data/png.h"

#include <libdeflate.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "data/byte_order.h"

namespace rein::data {
namespace {

constexpr size_t kSignatureBytes = 8;
constexpr size_t kChunkBytes = 12;  // length and name before the contents, checksum behind them
constexpr size_t kPixelBytes = 3;
// Depth 8, RGB, deflated, filtered, not interlaced: the end of IHDR.
constexpr absl::string_view kUsual("\x08\x02\x00\x00\x00", 5);

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* decompressor) const { libdeflate_free_decompressor(decompressor); }
};

struct Chunk {
  absl::string_view name, contents;
};

// The chunk at the front of `rest`, which it is cut off from; nullopt: broken.
std::optional<Chunk> NextChunk(absl::string_view& rest) {
  if (rest.size() < kChunkBytes) return std::nullopt;
  const size_t length = BigEndian(rest, 0, 4);
  if (length > rest.size() - kChunkBytes) return std::nullopt;
  const Chunk chunk{rest.substr(4, 4), rest.substr(8, length)};
  if (libdeflate_crc32(0, chunk.name.data(), 4 + length) != BigEndian(rest, 8 + length, 4))
    return std::nullopt;
  rest.remove_prefix(kChunkBytes + length);
  return chunk;
}

// The contents of the pixels' chunks, which stand side by side, in their order; nullopt: not a usual PNG.
std::optional<std::vector<absl::string_view>> Deflated(absl::string_view encoded) {
  encoded.remove_prefix(kSignatureBytes);
  std::vector<absl::string_view> parts;
  bool ended = false;  // the pixels' chunks
  for (bool first = true;; first = false) {
    const std::optional<Chunk> chunk = NextChunk(encoded);
    if (!chunk || chunk->name == "eXIf") return std::nullopt;
    if (first != (chunk->name == "IHDR")) return std::nullopt;
    if (first && (chunk->contents.size() != 13 || !absl::EndsWith(chunk->contents, kUsual)))
      return std::nullopt;
    if (chunk->name == "IEND") return parts;
    if (chunk->name != "IDAT") {
      ended = !parts.empty();
    } else if (ended) {
      return std::nullopt;
    } else {
      parts.push_back(chunk->contents);
    }
  }
}

// Exactly `bytes` bytes and some that may be read behind them; nullopt: broken.
std::optional<Pixels> Inflate(const std::vector<absl::string_view>& parts, size_t bytes) {
  const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> decompressor(
      libdeflate_alloc_decompressor());
  Pixels joined;
  absl::string_view deflated = parts.size() == 1 ? parts[0] : absl::string_view();
  if (parts.size() > 1) {
    size_t size = 0;
    for (const absl::string_view part : parts) size += part.size();
    joined.resize(size);
    uint8_t* cursor = joined.data();
    for (const absl::string_view part : parts)
      cursor = std::copy_n(reinterpret_cast<const uint8_t*>(part.data()), part.size(), cursor);
    deflated = {reinterpret_cast<const char*>(joined.data()), joined.size()};
  }
  Pixels inflated(bytes + kPixelBytes);
  if (decompressor == nullptr ||
      libdeflate_zlib_decompress(decompressor.get(), deflated.data(), deflated.size(), inflated.data(), bytes,
                                 /*actual_out_nbytes_ret=*/nullptr) != LIBDEFLATE_SUCCESS) {
    return std::nullopt;
  }
  return inflated;
}

// A pixel and one value that does not count.
using Quad = int16_t __attribute__((vector_size(8)));
using QuadBytes = uint8_t __attribute__((vector_size(4)));

Quad Load(const uint8_t* pixel) {
  QuadBytes bytes;
  std::memcpy(&bytes, pixel, sizeof(bytes));
  return __builtin_convertvector(bytes, Quad);
}

void Store(Quad value, uint8_t* pixel) {
  const QuadBytes bytes = __builtin_convertvector(value, QuadBytes);
  std::memcpy(pixel, &bytes, kPixelBytes);
}

Quad Abs(Quad value) { return value < 0 ? -value : value; }

// The neighbour next to left + up - corner; among equals the first of left, up, corner.
Quad Paeth(Quad left, Quad up, Quad corner) {
  const Quad to_left = Abs(up - corner), to_up = Abs(left - corner), to_corner = Abs(left + up - 2 * corner);
  const Quad other = to_up <= to_corner ? up : corner;
  return ((to_left <= to_up) & (to_left <= to_corner)) ? left : other;
}

// Adds what `predict` makes of the pixels to the left, above, and above the left.
template <typename Predict>
void AddPredicted(const uint8_t* from, const uint8_t* above, size_t bytes, uint8_t* row, Predict predict) {
  Quad left{}, corner{};
  for (size_t i = 0; i < bytes; i += kPixelBytes) {
    const Quad up = Load(above + i);
    left = (Load(from + i) + predict(left, up, corner)) & 255;
    corner = up;
    Store(left, row + i);
  }
}

// PNG (ISO 15948), section 9. One byte behind `from` and `above` is read. False: an unknown filter.
bool Unfilter(int filter, const uint8_t* from, const uint8_t* above, size_t bytes, uint8_t* row) {
  switch (filter) {
    case 0:
      std::memcpy(row, from, bytes);
      return true;
    case 1:
      AddPredicted(from, above, bytes, row, [](Quad left, Quad, Quad) { return left; });
      return true;
    case 2:
      for (size_t i = 0; i < bytes; ++i) row[i] = static_cast<uint8_t>(from[i] + above[i]);
      return true;
    case 3:
      AddPredicted(from, above, bytes, row, [](Quad left, Quad up, Quad) { return (left + up) >> 1; });
      return true;
    case 4:
      AddPredicted(from, above, bytes, row, Paeth);
      return true;
    default:
      return false;
  }
}

}  // namespace

std::optional<RgbImage> DecodePng(const ImageHeader& header, absl::string_view encoded) {
  if (header.media_type != "image/png" || header.has_alpha) return std::nullopt;
  const std::optional<std::vector<absl::string_view>> parts = Deflated(encoded);
  if (!parts) return std::nullopt;
  const auto height = static_cast<size_t>(header.height);
  const size_t row_bytes = kPixelBytes * static_cast<size_t>(header.width);
  const std::optional<Pixels> filtered = Inflate(*parts, height * (1 + row_bytes));
  if (!filtered) return std::nullopt;
  RgbImage image{static_cast<int>(header.width), static_cast<int>(header.height), Pixels(height * row_bytes)};
  const std::vector<uint8_t> nothing(row_bytes + 1, 0);
  const uint8_t *from = filtered->data(), *above = nothing.data();
  for (size_t y = 0; y < height; ++y, from += 1 + row_bytes) {
    uint8_t* row = image.pixels.data() + y * row_bytes;
    if (!Unfilter(from[0], from + 1, above, row_bytes, row)) return std::nullopt;
    above = row;
  }
  return image;
}

}  // namespace rein::data
