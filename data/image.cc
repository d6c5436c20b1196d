#include "data/image.h"

#include <exception>
#include <opencv2/core.hpp>
#include <opencv2/imgcodecs.hpp>
#include <opencv2/imgproc.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/image_header.h"
#include "data/jpeg.h"
#include "data/png.h"

namespace rein::data {
namespace {

absl::Status CheckLimits(const ImageHeader& header, const ImageLimits& limits) {
  if (header.width < 1 || header.height < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the image header says ", header.width, " x ", header.height, " pixels"));
  }
  // Both sides are below 2^32: compared by division, so that the product cannot wrap.
  if (header.width > limits.max_pixels / header.height) {
    return absl::InvalidArgumentError(absl::StrCat("the image has ", header.width, " x ", header.height,
                                                   " pixels, at most ", limits.max_pixels,
                                                   " are allowed; scale it down"));
  }
  return absl::OkStatus();
}

// libjpeg fills up what is missing with grey; a picture that ends early must be an error.
bool IsCutOffJpeg(const ImageHeader& header, absl::string_view encoded) {
  return header.media_type == "image/jpeg" && encoded.rfind("\xff\xd9") == absl::string_view::npos;
}

// value / 255, rounded, for a value below 2^16, as PIL composites: 7 more bits are carried along.
uint8_t DivideBy255(uint32_t value) {
  const uint32_t precise = (value + 128) << 7;
  return static_cast<uint8_t>((((precise >> 8) + precise) >> 8) >> 7);
}

// Puts a BGRA picture on white.
cv::Mat OntoWhite(const cv::Mat& bgra) {
  cv::Mat bgr(bgra.rows, bgra.cols, CV_8UC3);
  for (int y = 0; y < bgra.rows; ++y) {
    for (int x = 0; x < bgra.cols; ++x) {
      const cv::Vec4b& from = bgra.at<cv::Vec4b>(y, x);
      cv::Vec3b& to = bgr.at<cv::Vec3b>(y, x);
      const uint32_t alpha = from[3];
      for (int c = 0; c < 3; ++c) to[c] = DivideBy255(from[c] * alpha + 255 * (255 - alpha));
    }
  }
  return bgr;
}

// OpenCV leaves out a grey PNG's transparent level.
void WhitenLevel(int level, cv::Mat* bgr) {
  cv::Mat transparent;
  cv::inRange(*bgr, cv::Scalar::all(level), cv::Scalar::all(level), transparent);
  bgr->setTo(cv::Scalar::all(255), transparent);
}

// Gives the first matrix of the size of `memory` that memory, and others their own. A matrix that stands in
// it already would stay as it is where OpenCV cannot read the header, and look like a picture.
class InMemory : public cv::MatAllocator {
 public:
  explicit InMemory(RgbImage& memory) : memory_(memory) {}

  cv::UMatData* allocate(int dims, const int* sizes, int type, void* data, size_t* step,
                         cv::AccessFlag access, cv::UMatUsageFlags usage) const override {
    size_t bytes = CV_ELEM_SIZE(type);
    for (int i = 0; i < dims; ++i) bytes *= static_cast<size_t>(sizes[i]);
    // One that is turned asks for the same size again.
    const bool takes = !taken_ && data == nullptr && bytes == memory_.pixels.size();
    taken_ = taken_ || takes;
    return standard_.allocate(dims, sizes, type, takes ? memory_.pixels.data() : data, step, access, usage);
  }
  bool allocate(cv::UMatData* data, cv::AccessFlag access, cv::UMatUsageFlags usage) const override {
    return standard_.allocate(data, access, usage);
  }
  void deallocate(cv::UMatData* data) const override { standard_.deallocate(data); }

 private:
  RgbImage& memory_;
  mutable bool taken_ = false;
  const cv::MatAllocator& standard_ = *cv::Mat::getStdAllocator();
};

// 8-bit BGR, in `memory` where its size fits; empty when the picture is broken. May throw.
cv::Mat DecodeBgr(const ImageHeader& header, absl::string_view encoded, RgbImage& memory) {
  const cv::Mat bytes(1, static_cast<int>(encoded.size()), CV_8U, const_cast<char*>(encoded.data()));
  if (!header.has_alpha) {
    InMemory allocator(memory);
    cv::Mat bgr;
    bgr.allocator = &allocator;
    cv::imdecode(bytes, cv::IMREAD_COLOR, &bgr);
    bgr.allocator = nullptr;
    return bgr;
  }
  cv::Mat image = cv::imdecode(bytes, cv::IMREAD_UNCHANGED);
  if (image.depth() == CV_16U) image.convertTo(image, CV_8U, 1.0 / 257);
  if (image.channels() == 4) return OntoWhite(image);
  image = cv::imdecode(bytes, cv::IMREAD_COLOR);
  if (header.transparent_level >= 0 && !image.empty()) WhitenLevel(header.transparent_level, &image);
  return image;
}

// Black: what a decoder leaves out of a broken picture must not be what was in the memory before.
RgbImage Blank(int64_t width, int64_t height) {
  return {static_cast<int>(width), static_cast<int>(height),
          Pixels(static_cast<size_t>(3 * width * height), 0)};
}

// In `memory` where `bgr` lies in it already.
RgbImage ToRgb(const cv::Mat& bgr, RgbImage memory) {
  RgbImage image = bgr.data == memory.pixels.data() ? std::move(memory) : Blank(bgr.cols, bgr.rows);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

}  // namespace

absl::StatusOr<RgbImage> DecodeImage(absl::string_view encoded, const ImageLimits& limits) {
  if (static_cast<int64_t>(encoded.size()) > limits.max_encoded_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("the image has ", encoded.size(), " bytes, at most ",
                                                   limits.max_encoded_bytes, " are allowed"));
  }
  REIN_ASSIGN_OR_RETURN(const ImageHeader header, ReadImageHeader(encoded));
  REIN_RETURN_IF_ERROR(CheckLimits(header, limits));
  if (IsCutOffJpeg(header, encoded)) return absl::InvalidArgumentError("broken image/jpeg: it is cut off");
  if (std::optional<RgbImage> image = DecodeJpeg(header, encoded)) return *std::move(image);
  if (std::optional<RgbImage> image = DecodePng(header, encoded)) return *std::move(image);
  try {
    RgbImage memory = header.has_alpha ? RgbImage{} : Blank(header.width, header.height);
    const cv::Mat bgr = DecodeBgr(header, encoded, memory);
    if (!bgr.empty() && bgr.type() == CV_8UC3) return ToRgb(bgr, std::move(memory));
    return absl::InvalidArgumentError(absl::StrCat("broken ", header.media_type, ": it cannot be decoded"));
  } catch (const std::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("broken ", header.media_type, ": ", error.what()));
  }
}

absl::StatusOr<std::string> EncodePng(const RgbImage& image) {
  const size_t expected = 3 * static_cast<size_t>(image.width) * static_cast<size_t>(image.height);
  if (image.width < 1 || image.height < 1 || image.pixels.size() != expected) {
    return absl::InternalError(absl::StrCat("cannot encode ", image.width, " x ", image.height,
                                            " pixels from ", image.pixels.size(), " bytes"));
  }
  try {
    const cv::Mat rgb(image.height, image.width, CV_8UC3, const_cast<uint8_t*>(image.pixels.data()));
    cv::Mat bgr;
    cv::cvtColor(rgb, bgr, cv::COLOR_RGB2BGR);
    std::vector<uint8_t> png;
    if (!cv::imencode(".png", bgr, png)) return absl::InternalError("the picture cannot be encoded as PNG");
    return std::string(png.begin(), png.end());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the picture cannot be encoded as PNG: ", error.what()));
  }
}

}  // namespace rein::data
