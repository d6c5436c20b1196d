#include "data/image.h"

#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <tuple>

#include "base/hash.h"
#include "data/image_header.h"
#include "data/jpeg.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::HasSubstr;

RgbImage Stripes(int width, int height) {
  RgbImage image{width, height, {}};
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      image.pixels.insert(image.pixels.end(), {static_cast<uint8_t>(x % 2 == 0 ? 250 : 10),
                                               static_cast<uint8_t>(y), uint8_t{77}});
    }
  }
  return image;
}

std::string Encode(const std::string& extension, const cv::Mat& image) {
  std::vector<uint8_t> bytes;
  EXPECT_TRUE(cv::imencode(extension, image, bytes));
  return {bytes.begin(), bytes.end()};
}

// `width` x `height` written into the header of a PNG, its checksum left wrong.
std::string WithSize(std::string png, uint32_t width, uint32_t height) {
  for (int i = 0; i < 4; ++i) {
    png[16 + static_cast<size_t>(i)] = static_cast<char>(width >> (24 - 8 * i));
    png[20 + static_cast<size_t>(i)] = static_cast<char>(height >> (24 - 8 * i));
  }
  return png;
}

// An EXIF block with an orientation, put behind the first marker of a JPEG.
std::string WithOrientation(const std::string& jpeg, char orientation) {
  std::string exif("Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 25);
  exif += orientation;
  exif += std::string(6, '\0');
  const size_t length = exif.size() + 2;
  const std::string marker = {'\xff', '\xe1', static_cast<char>(length >> 8), static_cast<char>(length)};
  return jpeg.substr(0, 2) + marker + exif + jpeg.substr(2);
}

absl::Status Refusal(const std::string& bytes, const ImageLimits& limits = {}) {
  const absl::Status status = DecodeImage(bytes, limits).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  return status;
}

TEST(Image, SurvivesARoundTripThroughPng) {
  for (const RgbImage& image : {Stripes(7, 5), Stripes(1, 1), Stripes(64, 3)}) {
    const auto png = EncodePng(image);
    ASSERT_TRUE(png.ok()) << png.status();
    EXPECT_EQ(*ImageMediaType(*png), "image/png");
    const auto decoded = DecodeImage(*png);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->width, image.width);
    EXPECT_EQ(decoded->height, image.height);
    EXPECT_EQ(decoded->pixels, image.pixels);
  }
}

TEST(Image, ReadsJpegAndWebp) {
  const cv::Mat image(6, 9, CV_8UC3, cv::Scalar(30, 60, 200));  // BGR
  for (const auto& [extension, type] : {std::pair(".jpg", "image/jpeg"), std::pair(".webp", "image/webp")}) {
    const std::string bytes = Encode(extension, image);
    EXPECT_EQ(*ImageMediaType(bytes), type);
    const auto decoded = DecodeImage(bytes);
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    EXPECT_EQ(decoded->width, 9);
    EXPECT_EQ(decoded->height, 6);
    EXPECT_NEAR(decoded->pixels[0], 200, 6) << "red comes first";
    EXPECT_NEAR(decoded->pixels[2], 30, 6);
  }
}

TEST(Image, TurnsGreyAndDeepPicturesIntoEightBitRgb) {
  for (const cv::Mat& image :
       {cv::Mat(2, 2, CV_8UC1, cv::Scalar(128)), cv::Mat(2, 2, CV_16UC3, cv::Scalar::all(128 * 257))}) {
    const auto decoded = DecodeImage(Encode(".png", image));
    ASSERT_TRUE(decoded.ok()) << decoded.status();
    ASSERT_EQ(decoded->pixels.size(), 12u);
    for (const uint8_t value : decoded->pixels) EXPECT_NEAR(value, 128, 1);
  }
}

TEST(Image, PutsTransparentPicturesOnWhite) {
  cv::Mat image(1, 3, CV_8UC4, cv::Scalar(200, 100, 40, 255));
  image.at<cv::Vec4b>(0, 1)[3] = 0;
  image.at<cv::Vec4b>(0, 2)[3] = 128;
  const auto decoded = DecodeImage(Encode(".png", image));
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(std::vector<uint8_t>(decoded->pixels.begin(), decoded->pixels.begin() + 3),
            (std::vector<uint8_t>{40, 100, 200}));
  EXPECT_EQ(std::vector<uint8_t>(decoded->pixels.begin() + 3, decoded->pixels.begin() + 6),
            (std::vector<uint8_t>{255, 255, 255}));
  EXPECT_EQ(decoded->pixels[6], 147) << "(128 * 40 + 127 * 255) / 255, rounded";
}

TEST(Image, DecodesJpegAsOpenCvDoes) {
  cv::Mat noise(37, 51, CV_8UC3), grey(37, 51, CV_8U);
  cv::RNG(2).fill(noise, cv::RNG::UNIFORM, 0, 256);
  cv::RNG(3).fill(grey, cv::RNG::UNIFORM, 0, 256);
  for (const auto& [what, image, progressive] :
       {std::tuple("colour", noise, 0), {"progressive", noise, 1}, {"grey", grey, 0}}) {
    std::vector<uint8_t> bytes;
    ASSERT_TRUE(cv::imencode(".jpg", image, bytes, {cv::IMWRITE_JPEG_PROGRESSIVE, progressive}));
    const absl::string_view encoded(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto header = ReadImageHeader(encoded);
    ASSERT_TRUE(header.ok()) << header.status();
    const std::optional<RgbImage> decoded = DecodeJpeg(*header, encoded);
    ASSERT_TRUE(decoded.has_value()) << what;
    cv::Mat expected;
    cv::cvtColor(cv::imdecode(bytes, cv::IMREAD_COLOR), expected, cv::COLOR_BGR2RGB);
    EXPECT_TRUE(decoded->pixels == Pixels(expected.data, expected.data + 3 * expected.total())) << what;
  }
}

TEST(Image, LeavesUnusualJpegsToOpenCv) {
  const std::string jpeg = Encode(".jpg", cv::Mat(8, 8, CV_8UC3, cv::Scalar(9, 9, 9)));
  const auto is_usual = [](const std::string& bytes) {
    const auto header = ReadImageHeader(bytes);
    return header.ok() && DecodeJpeg(*header, bytes).has_value();
  };
  EXPECT_TRUE(is_usual(jpeg));
  EXPECT_FALSE(is_usual(WithOrientation(jpeg, 6)));
  EXPECT_FALSE(is_usual(jpeg.substr(0, jpeg.size() - 8)));
  EXPECT_FALSE(is_usual(*EncodePng(Stripes(4, 4))));
}

TEST(Image, AppliesExifOrientation) {
  const std::string jpeg = Encode(".jpg", cv::Mat(4, 8, CV_8UC3, cv::Scalar(9, 9, 9)));
  const auto upright = DecodeImage(WithOrientation(jpeg, 1)), turned = DecodeImage(WithOrientation(jpeg, 6));
  ASSERT_TRUE(upright.ok()) << upright.status();
  ASSERT_TRUE(turned.ok()) << turned.status();
  EXPECT_EQ(upright->width, 8);
  EXPECT_EQ(turned->width, 4);
  EXPECT_EQ(turned->height, 8);
}

TEST(Image, RefusesWhatIsNoPictureAndNamesTheAllowedFormats) {
  EXPECT_THAT(Refusal("").message(), HasSubstr("empty"));
  for (const std::string bytes : {"GIF89a\x01\x01", "BM123456", "hello", "RIFF....WAVE"}) {
    EXPECT_THAT(Refusal(bytes).message(), HasSubstr("allowed: PNG, JPEG, WebP"));
  }
}

TEST(Image, RefusesHugePicturesByTheirHeader) {
  const std::string png = *EncodePng(Stripes(4, 4));
  EXPECT_THAT(Refusal(WithSize(png, 10000, 10000)).message(), HasSubstr("10000 x 10000"));
  EXPECT_THAT(Refusal(WithSize(png, 0xFFFFFFFF, 0xFFFFFFFF)).message(), HasSubstr("64000000"));
  EXPECT_THAT(Refusal(WithSize(png, 0, 4)).message(), HasSubstr("0 x 4"));
  EXPECT_THAT(Refusal(png, {.max_pixels = 15}).message(), HasSubstr("4 x 4"));
  EXPECT_THAT(Refusal(png, {.max_encoded_bytes = 10}).message(), HasSubstr("at most 10"));
}

TEST(Image, EveryTruncationIsAnErrorAndNeverAPicture) {
  cv::Mat noise(24, 24, CV_8UC3);
  cv::RNG(7).fill(noise, cv::RNG::UNIFORM, 0, 256);
  for (const char* extension : {".png", ".jpg", ".webp"}) {
    const std::string bytes = Encode(extension, noise);
    for (size_t size = 0; size + 13 < bytes.size(); size += size < 100 ? 1 : 29) {
      EXPECT_FALSE(DecodeImage(bytes.substr(0, size)).ok()) << extension << " cut to " << size;
    }
  }
}

TEST(Image, FlippedBytesNeverCrash) {
  const std::string png = *EncodePng(Stripes(16, 16));
  const std::string jpeg = Encode(".jpg", cv::Mat(16, 16, CV_8UC3, cv::Scalar(1, 2, 3)));
  CounterRandom random(3);
  for (int i = 0; i < 400; ++i) {
    std::string bytes = i % 2 == 0 ? png : jpeg;
    for (int k = 0; k < 4; ++k) bytes[random.Below(bytes.size())] = static_cast<char>(random.Bits());
    const auto decoded = DecodeImage(bytes);
    if (!decoded.ok()) continue;
    EXPECT_EQ(decoded->pixels.size(),
              3 * static_cast<size_t>(decoded->width) * static_cast<size_t>(decoded->height));
  }
}

// Puts `value` into the memory that the next picture of this size is decoded into.
void Smear(size_t bytes, uint8_t value) { const Pixels smeared(bytes, value); }

TEST(Image, BrokenPicturesShowNothingOfThoseBefore) {
  cv::Mat noise(160, 160, CV_8UC3);
  cv::RNG(9).fill(noise, cv::RNG::UNIFORM, 0, 256);
  const size_t bytes = 3 * noise.total();
  CounterRandom random(4);
  int decoded = 0;
  for (const char* extension : {".png", ".jpg", ".webp"}) {
    for (int i = 0; i < 40; ++i) {
      std::string broken = Encode(extension, noise);
      for (int k = 0; k < 3; ++k)
        broken[100 + random.Below(broken.size() - 100)] = static_cast<char>(random.Bits());
      Smear(bytes, 0xA5);
      const auto first = DecodeImage(broken);
      Smear(bytes, 0x5A);
      const auto second = DecodeImage(broken);
      ASSERT_EQ(first.ok(), second.ok());
      if (!first.ok()) continue;
      ++decoded;
      EXPECT_TRUE(first->pixels == second->pixels) << extension << " " << i;
    }
  }
  EXPECT_GT(decoded, 30);
}

TEST(Image, RefusesToEncodePixelsThatDoNotFillThePicture) {
  EXPECT_EQ(EncodePng({2, 2, Pixels(11, 0)}).status().code(), absl::StatusCode::kInternal);
  EXPECT_EQ(EncodePng({}).status().code(), absl::StatusCode::kInternal);
}

}  // namespace
}  // namespace rein::data
