#include "data/png.h"

#include <gtest/gtest.h>
#include <libdeflate.h>

#include <cstdlib>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>

#include "base/hash.h"

namespace rein::data {
namespace {

constexpr int kWidth = 37, kHeight = 23;

std::string BigEndian(size_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift);
  return bytes;
}

std::string Chunk(const std::string& name, const std::string& contents) {
  const std::string checked = name + contents;
  return BigEndian(contents.size()) + checked +
         BigEndian(libdeflate_crc32(0, checked.data(), checked.size()));
}

std::string Deflate(const std::string& bytes) {
  libdeflate_compressor* compressor = libdeflate_alloc_compressor(6);
  std::string deflated(libdeflate_zlib_compress_bound(compressor, bytes.size()), '\0');
  deflated.resize(
      libdeflate_zlib_compress(compressor, bytes.data(), bytes.size(), deflated.data(), deflated.size()));
  libdeflate_free_compressor(compressor);
  return deflated;
}

const std::string kSignature("\x89PNG\r\n\x1a\n", 8);

std::string Header(const std::string& kind = std::string("\x08\x02\x00\x00\x00", 5)) {
  return Chunk("IHDR", BigEndian(kWidth) + BigEndian(kHeight) + kind);
}

// Smooth here and noisy there, so that every case of every filter occurs.
uint8_t Level(int y, int x) {
  if (y < 0 || x < 0) return 0;
  const auto at = static_cast<uint64_t>(y) * 1000 + static_cast<uint64_t>(x);
  return static_cast<uint8_t>(x % 7 < 4 ? y * 5 + x : static_cast<int>(CounterRandom(at).Bits() & 255));
}

// Of a byte of a row of RGB, straight from ISO 15948, section 9.
int Predicted(int filter, int y, int x) {
  const int a = Level(y, x - 3), b = Level(y - 1, x), c = x < 3 ? 0 : Level(y - 1, x - 3);
  if (filter == 1) return a;
  if (filter == 2) return b;
  if (filter == 3) return (a + b) / 2;
  if (filter != 4) return 0;
  const int p = a + b - c, pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

// Rows take the filters in turn.
std::string Filtered(const std::vector<int>& filters) {
  std::string bytes;
  for (int y = 0; y < kHeight; ++y) {
    const int filter = filters[static_cast<size_t>(y) % filters.size()];
    bytes += static_cast<char>(filter);
    for (int x = 0; x < 3 * kWidth; ++x) bytes += static_cast<char>(Level(y, x) - Predicted(filter, y, x));
  }
  return bytes;
}

// `parts` chunks of pixels.
std::string Pieces(const std::string& deflated, size_t parts) {
  std::string chunks;
  const size_t most = deflated.size() / parts + 1;
  for (size_t at = 0; at < deflated.size(); at += most) chunks += Chunk("IDAT", deflated.substr(at, most));
  return chunks;
}

std::string Usual(const std::vector<int>& filters = {0, 1, 2, 3, 4}, size_t parts = 1) {
  return kSignature + Header() + Pieces(Deflate(Filtered(filters)), parts) + Chunk("IEND", "");
}

std::optional<RgbImage> Decode(const std::string& png) {
  const auto header = ReadImageHeader(png);
  return header.ok() ? DecodePng(*header, png) : std::nullopt;
}

void ExpectPicture(const std::string& png) {
  const std::optional<RgbImage> image = Decode(png);
  ASSERT_TRUE(image.has_value());
  ASSERT_EQ(image->width, kWidth);
  ASSERT_EQ(image->height, kHeight);
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < 3 * kWidth; ++x)
      ASSERT_EQ(image->pixels[static_cast<size_t>(y * 3 * kWidth + x)], Level(y, x)) << y << " " << x;
  }
}

TEST(Png, UndoesEveryFilter) {
  for (const std::vector<int>& filters :
       {std::vector{0}, {1}, {2}, {3}, {4}, {0, 1, 2, 3, 4}, {4, 2, 3, 1, 0}}) {
    SCOPED_TRACE(filters.front());
    ExpectPicture(Usual(filters));
  }
}

TEST(Png, JoinsTheChunksOfThePixels) {
  ExpectPicture(Usual({4}, 7));
  ExpectPicture(Usual({4}, 3) + "what is behind the end does not count");
}

TEST(Png, DecodesAsOpenCvDoes) {
  cv::Mat noise(41, 60, CV_8UC3);
  cv::RNG(2).fill(noise, cv::RNG::UNIFORM, 0, 256);
  cv::Mat smooth;
  cv::GaussianBlur(noise, smooth, {9, 9}, 3);
  for (const cv::Mat& picture : {noise, smooth}) {
    std::vector<uint8_t> bytes;
    ASSERT_TRUE(cv::imencode(".png", picture, bytes));
    const std::optional<RgbImage> image = Decode({bytes.begin(), bytes.end()});
    ASSERT_TRUE(image.has_value());
    cv::Mat rgb;
    cv::cvtColor(picture, rgb, cv::COLOR_BGR2RGB);
    EXPECT_TRUE(image->pixels == Pixels(rgb.data, rgb.data + 3 * rgb.total()));
  }
}

TEST(Png, LeavesUnusualOnesToOpenCv) {
  const std::string pixels = Pieces(Deflate(Filtered({1})), 1), end = Chunk("IEND", "");
  EXPECT_TRUE(Decode(kSignature + Header() + Chunk("gAMA", BigEndian(45455)) + pixels + end).has_value());
  for (const char* kind : {"\x08\x00", "\x08\x03", "\x08\x06", "\x10\x02"})  // grey, palette, alpha, 16 bits
    EXPECT_FALSE(Decode(kSignature + Header(std::string(kind, 2) + std::string(3, '\0')) + pixels + end))
        << static_cast<int>(kind[1]);
  EXPECT_FALSE(Decode(kSignature + Header(std::string("\x08\x02\0\0\x01", 5)) + pixels + end))
      << "interlaced";
  for (const char* name : {"eXIf", "tRNS"})
    EXPECT_FALSE(Decode(kSignature + Header() + Chunk(name, "123456") + pixels + end)) << name;
}

TEST(Png, LeavesBrokenOnesToOpenCv) {
  const std::string good = Usual({0, 1, 2, 3, 4}, 2);
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(Decode(good.substr(0, size))) << size;
  for (size_t at = 8; at < good.size(); ++at) {
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    EXPECT_FALSE(Decode(flipped)) << at;
  }
  const std::string header = kSignature + Header(), end = Chunk("IEND", "");
  const std::string filtered = Filtered({1}), pixels = Pieces(Deflate(filtered), 1);
  EXPECT_FALSE(Decode(header + end)) << "no pixels";
  EXPECT_FALSE(Decode(header + Pieces(Deflate(filtered + "x"), 1) + end)) << "too many pixels";
  EXPECT_FALSE(Decode(header + Pieces(Deflate(filtered.substr(1)), 1) + end)) << "too few pixels";
  EXPECT_FALSE(Decode(header + Pieces(Deflate(Filtered({5})), 1) + end)) << "no such filter";
  EXPECT_FALSE(Decode(header + pixels + Header() + end)) << "two headers";
  EXPECT_FALSE(Decode(header + pixels + Chunk("tEXt", "a") + pixels + end)) << "pixels in two places";
}

}  // namespace
}  // namespace rein::data
