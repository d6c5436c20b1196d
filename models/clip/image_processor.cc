#include "models/clip/image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxResizedSide = 1 << 24;

// Where a center crop to `target` of a side of `size` takes from, and where that lands when the side is too
// short.
struct CropSpan {
  int64_t from = 0, count = 0, to = 0;
};

// As transformers' center_crop rounds: a short side is first padded, half of the padding, rounded up, in
// front.
CropSpan CenterCrop(int64_t size, int64_t target) {
  if (size >= target) return {.from = (size - target) / 2, .count = target};
  return {.count = size, .to = (target - size + 1) / 2};
}

}  // namespace

absl::Status ClipImageProcessor::ParseSizes(const Fields& fields) {
  const Json* size = fields.Find("size");
  if (size != nullptr && size->is_object()) {
    REIN_ASSIGN_OR_RETURN(const Fields sides, fields.Object("size"));
    for (const char* key : {"longest_edge", "max_height", "max_width"}) {
      if (sides.Has(key)) return sides.Unsupported("size", key, "shortest_edge, height and width");
    }
    const bool fixed = sides.Has("height") || sides.Has("width");
    if (!fixed && !sides.Has("shortest_edge"))
      return fields.Error("size", "needs shortest_edge, or height and width");
    REIN_ASSIGN_OR_RETURN(shortest_edge_, sides.Int("shortest_edge", 0, 1, 8192));
    REIN_ASSIGN_OR_RETURN(resized_height_, sides.Int("height", fixed ? shortest_edge_ : 0, 1, 8192));
    REIN_ASSIGN_OR_RETURN(resized_width_, sides.Int("width", fixed ? shortest_edge_ : 0, 1, 8192));
    if (fixed && (resized_height_ == 0 || resized_width_ == 0))
      return fields.Error("size", "needs both height and width");
    if (fixed) shortest_edge_ = 0;
  } else {
    REIN_ASSIGN_OR_RETURN(shortest_edge_, fields.Int("size", 224, 1, 8192));
  }
  const Json* crop = fields.Find("crop_size");
  if (crop != nullptr && crop->is_object()) {
    REIN_ASSIGN_OR_RETURN(const Fields sides, fields.Object("crop_size"));
    REIN_ASSIGN_OR_RETURN(crop_height_, sides.Int("height", 224, 1, 8192));
    REIN_ASSIGN_OR_RETURN(crop_width_, sides.Int("width", 224, 1, 8192));
  } else {
    REIN_ASSIGN_OR_RETURN(crop_height_, fields.Int("crop_size", 224, 1, 8192));
    crop_width_ = crop_height_;
  }
  return absl::OkStatus();
}

absl::StatusOr<ClipImageProcessor> ClipImageProcessor::Parse(const Fields& fields) {
  ClipImageProcessor processor;
  REIN_ASSIGN_OR_RETURN(processor.resize_, fields.Bool("do_resize", true));
  REIN_ASSIGN_OR_RETURN(processor.crop_, fields.Bool("do_center_crop", true));
  REIN_ASSIGN_OR_RETURN(const bool pad, fields.Bool("do_pad", false));
  if (pad) return fields.Unsupported("do_pad", "true", "false");
  REIN_ASSIGN_OR_RETURN(processor.resample_, ParseResample(fields, Resample::kBicubic));
  REIN_RETURN_IF_ERROR(processor.ParseSizes(fields));
  REIN_ASSIGN_OR_RETURN(processor.tables_, ParseNormalization(fields, kClipMean, kClipDeviation));
  return processor;
}

absl::StatusOr<data::RgbImage> ClipImageProcessor::ResizeAndCrop(const data::RgbImage& image) const {
  int64_t width = image.width, height = image.height;
  if (resize_ && shortest_edge_ > 0) {
    const int64_t shorter = std::min(width, height), longer = std::max(width, height);
    const auto scaled =
        static_cast<int64_t>(static_cast<double>(shortest_edge_ * longer) / static_cast<double>(shorter));
    if (scaled > kMaxResizedSide) {
      return absl::InvalidArgumentError(
          absl::StrCat("a picture of ", image.width, " x ", image.height,
                       " is too long and thin to be resized to a shortest edge of ", shortest_edge_));
    }
    const bool upright = image.width <= image.height;
    width = upright ? shortest_edge_ : scaled;
    height = upright ? scaled : shortest_edge_;
  } else if (resize_) {
    width = resized_width_;
    height = resized_height_;
  }
  const CropSpan columns = crop_ ? CenterCrop(width, crop_width_) : CropSpan{.count = width};
  const CropSpan rows = crop_ ? CenterCrop(height, crop_height_) : CropSpan{.count = height};
  REIN_RETURN_IF_ERROR(CheckValues(image, 3 * columns.count * rows.count));
  const auto cast = [](int64_t value) { return static_cast<int>(value); };
  const Window window{cast(columns.from), cast(rows.from), cast(columns.count), cast(rows.count)};
  data::RgbImage resized = ResizeWindow(image, cast(width), cast(height), resample_, window);
  if (!crop_ || (columns.count == crop_width_ && rows.count == crop_height_)) return resized;
  return Paste(resized, {crop_height_, crop_width_}, columns.to, rows.to);
}

absl::StatusOr<ProcessedImage> ClipImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  REIN_ASSIGN_OR_RETURN(const data::RgbImage ready, ResizeAndCrop(image));
  at::Tensor levels = at::empty({1, 3, ready.height, ready.width}, at::kByte);
  WritePlanes(ready, {.columns = ready.width, .rows = ready.height}, levels.data_ptr<uint8_t>());
  return ProcessedImage{.pixels = std::move(levels), .tables = tables_};
}

}  // namespace rein::models
