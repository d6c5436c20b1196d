#include "models/image/qwen2_vl_image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxPixels = int64_t{1} << 26;
constexpr double kMaxAspect = 200.0;

}  // namespace

absl::StatusOr<Resolution> SmartResize(Resolution original, int64_t factor, int64_t min_pixels,
                                       int64_t max_pixels) {
  const auto height = static_cast<double>(original.height), width = static_cast<double>(original.width);
  const auto step = static_cast<double>(factor);
  if (std::max(height, width) / std::min(height, width) > kMaxAspect) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", original.width, " x ", original.height,
                                                   " has one side over ", kMaxAspect,
                                                   " times the other; crop it"));
  }
  // nearbyint rounds halves to even, as Python does.
  const auto multiple = [&](double steps) { return static_cast<int64_t>(steps) * factor; };
  Resolution size{multiple(std::nearbyint(height / step)), multiple(std::nearbyint(width / step))};
  if (size.height * size.width > max_pixels) {
    const double beta = std::sqrt(height * width / static_cast<double>(max_pixels));
    size = {std::max(factor, multiple(std::floor(height / beta / step))),
            std::max(factor, multiple(std::floor(width / beta / step)))};
  } else if (size.height * size.width < min_pixels) {
    const double beta = std::sqrt(static_cast<double>(min_pixels) / (height * width));
    size = {multiple(std::ceil(height * beta / step)), multiple(std::ceil(width * beta / step))};
  }
  return size;
}

// Newer folders call the bounds size.shortest_edge and size.longest_edge, though they count pixels; keys at
// the root win, as in transformers.
absl::Status Qwen2VlImageProcessor::ParsePixels(const Fields& fields) {
  REIN_ASSIGN_OR_RETURN(const Fields size, fields.Object("size"));
  for (const char* key : {"height", "width", "max_height", "max_width"}) {
    if (size.Has(key)) return size.Unsupported(key, "a number", "shortest_edge and longest_edge");
  }
  if (fields.Has("size")) {
    const bool edges = size.Has("shortest_edge") || size.Has("longest_edge");
    const std::string low = edges ? "shortest_edge" : "min_pixels";
    const std::string high = edges ? "longest_edge" : "max_pixels";
    if ((!size.Has(low) && !fields.Has("min_pixels")) || (!size.Has(high) && !fields.Has("max_pixels")))
      return fields.Error("size", "needs shortest_edge and longest_edge (bounds of the number of pixels)");
    REIN_ASSIGN_OR_RETURN(min_pixels_, size.Int(low, min_pixels_, 1, kMaxPixels));
    REIN_ASSIGN_OR_RETURN(max_pixels_, size.Int(high, max_pixels_, 1, kMaxPixels));
  }
  REIN_ASSIGN_OR_RETURN(min_pixels_, fields.Int("min_pixels", min_pixels_, 1, kMaxPixels));
  REIN_ASSIGN_OR_RETURN(max_pixels_, fields.Int("max_pixels", max_pixels_, 1, kMaxPixels));
  if (min_pixels_ <= max_pixels_) return absl::OkStatus();
  return fields.Error("max_pixels", absl::StrCat("is ", max_pixels_, ", below min_pixels ", min_pixels_));
}

absl::StatusOr<Qwen2VlImageProcessor> Qwen2VlImageProcessor::Parse(const Fields& fields) {
  REIN_RETURN_IF_ERROR(CheckProcessorType(fields, {"Qwen2VLImageProcessor"}));
  Qwen2VlImageProcessor processor;
  REIN_ASSIGN_OR_RETURN(processor.resize_, fields.Bool("do_resize", true));
  REIN_ASSIGN_OR_RETURN(processor.resample_, ParseResample(fields, Resample::kBicubic));
  REIN_ASSIGN_OR_RETURN(processor.patch_size_, fields.Int("patch_size", 14, 1, 256));
  REIN_ASSIGN_OR_RETURN(processor.temporal_patch_size_, fields.Int("temporal_patch_size", 2, 1, 16));
  REIN_ASSIGN_OR_RETURN(processor.merge_size_, fields.Int("merge_size", 2, 1, 16));
  REIN_RETURN_IF_ERROR(processor.ParsePixels(fields));
  REIN_ASSIGN_OR_RETURN(processor.tables_, ParseNormalization(fields, kClipMean, kClipDeviation));
  return processor;
}

absl::StatusOr<data::RgbImage> Qwen2VlImageProcessor::ToFittingSize(const data::RgbImage& image) const {
  const int64_t factor = patch_size_ * merge_size_;
  if (resize_) {
    REIN_ASSIGN_OR_RETURN(const Resolution size,
                          SmartResize({image.height, image.width}, factor, min_pixels_, max_pixels_));
    REIN_RETURN_IF_ERROR(CheckValues(image, 3 * temporal_patch_size_ * size.height * size.width));
    return Resize(image, static_cast<int>(size.width), static_cast<int>(size.height), resample_);
  }
  if (image.width % factor == 0 && image.height % factor == 0) return image;
  return absl::InvalidArgumentError(absl::StrCat("a picture of ", image.width, " x ", image.height,
                                                 "; without do_resize its sides must be multiples of ",
                                                 factor));
}

// `row` and `column` count patches.
void Qwen2VlImageProcessor::WritePatch(const data::RgbImage& image, int64_t row, int64_t column,
                                       uint8_t* levels) const {
  const auto side = static_cast<size_t>(patch_size_), times = static_cast<size_t>(temporal_patch_size_);
  const size_t stride = 3 * static_cast<size_t>(image.width);
  const uint8_t* corner =
      image.pixels.data() + static_cast<size_t>(row) * side * stride + 3 * static_cast<size_t>(column) * side;
  for (size_t c = 0; c < 3; ++c) {
    uint8_t* plane = levels + c * times * side * side;
    for (size_t y = 0; y < side; ++y) {
      const uint8_t* pixel = corner + y * stride + c;
      for (size_t x = 0; x < side; ++x, pixel += 3) plane[y * side + x] = *pixel;
    }
    for (size_t t = 1; t < times; ++t) std::copy_n(plane, side * side, plane + t * side * side);
  }
}

absl::StatusOr<ProcessedImage> Qwen2VlImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  REIN_ASSIGN_OR_RETURN(const data::RgbImage ready, ToFittingSize(image));
  const int64_t rows = ready.height / patch_size_, columns = ready.width / patch_size_;
  const int64_t values = 3 * temporal_patch_size_ * patch_size_ * patch_size_;
  at::Tensor pixels = at::empty({rows * columns, values}, at::kByte);
  uint8_t* cursor = pixels.data_ptr<uint8_t>();
  const int64_t merged = merge_size_ * merge_size_;
  for (int64_t square = 0; square < rows * columns / merged; ++square) {
    const int64_t top = square / (columns / merge_size_) * merge_size_;
    const int64_t left = square % (columns / merge_size_) * merge_size_;
    for (int64_t patch = 0; patch < merged; ++patch, cursor += values)
      WritePatch(ready, top + patch / merge_size_, left + patch % merge_size_, cursor);
  }
  return ProcessedImage{.pixels = std::move(pixels),
                        .feature_count = rows * columns / merged,
                        .grid = {1, rows, columns},
                        .tables = tables_};
}

}  // namespace rein::models
