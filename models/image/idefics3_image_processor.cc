#include "models/image/idefics3_image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int64_t kMaxSide = 4096;  // pixels of a resized picture, set in transformers' code
constexpr int64_t kMaxSplitPixels = int64_t{1} << 26;

double Aspect(Resolution size) { return static_cast<double>(size.width) / static_cast<double>(size.height); }

// The other side of one of `longer`; fractions are cut off.
int64_t Shorter(int64_t longer, double aspect, bool wide) {
  const auto side = static_cast<double>(longer);
  return static_cast<int64_t>(wide ? side / aspect : side * aspect);
}

// The longer side becomes `longest`, the shorter an even number.
Resolution WithLongestEdge(Resolution size, int64_t longest) {
  const bool wide = size.width >= size.height;
  int64_t shorter = Shorter(longest, Aspect(size), wide);
  shorter = std::max<int64_t>(shorter + shorter % 2, 1);
  return wide ? Resolution{shorter, longest} : Resolution{longest, shorter};
}

Resolution AtMost(Resolution size, int64_t longest) {
  const bool wide = size.width >= size.height;
  if (std::max(size.width, size.height) <= longest) return size;
  const int64_t shorter = std::max<int64_t>(Shorter(longest, Aspect(size), wide), 1);
  return wide ? Resolution{shorter, longest} : Resolution{longest, shorter};
}

int64_t RoundUp(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

// Both sides multiples of `side`, the aspect kept as far as that allows.
Resolution ToMultiples(Resolution size, int64_t side) {
  const bool wide = size.width >= size.height;
  const int64_t longer = RoundUp(wide ? size.width : size.height, side);
  const int64_t shorter = RoundUp(Shorter(longer, Aspect(size), wide), side);
  return wide ? Resolution{shorter, longer} : Resolution{longer, shorter};
}

}  // namespace

absl::Status Idefics3ImageProcessor::ParseSize(const Fields& fields) {
  const Json* size = fields.Find("size");
  if (size == nullptr) return absl::OkStatus();
  if (!size->is_object()) {
    REIN_ASSIGN_OR_RETURN(resized_height_, fields.Int("size", 0, 1, kMaxSide));
    resized_width_ = resized_height_;
    longest_edge_ = 0;
    return absl::OkStatus();
  }
  REIN_ASSIGN_OR_RETURN(const Fields sides, fields.Object("size"));
  for (const char* key : {"shortest_edge", "max_height", "max_width", "min_pixels", "max_pixels"}) {
    if (sides.Has(key)) return fields.Unsupported("size", key, "longest_edge, or height and width");
  }
  if (!sides.Has("longest_edge") && !(sides.Has("height") && sides.Has("width")))
    return fields.Error("size", "needs longest_edge, or height and width");
  REIN_ASSIGN_OR_RETURN(longest_edge_, sides.Int("longest_edge", 0, 1, 1 << 16));
  REIN_ASSIGN_OR_RETURN(resized_height_, sides.Int("height", 0, 1, kMaxSide));
  REIN_ASSIGN_OR_RETURN(resized_width_, sides.Int("width", 0, 1, kMaxSide));
  return absl::OkStatus();
}

absl::StatusOr<Idefics3ImageProcessor> Idefics3ImageProcessor::Parse(const Fields& fields,
                                                                     int64_t frame_features) {
  REIN_RETURN_IF_ERROR(CheckProcessorType(fields, {"Idefics3ImageProcessor", "SmolVLMImageProcessor"}));
  Idefics3ImageProcessor processor;
  processor.frame_features_ = frame_features;
  REIN_ASSIGN_OR_RETURN(processor.resize_, fields.Bool("do_resize", true));
  REIN_ASSIGN_OR_RETURN(processor.split_, fields.Bool("do_image_splitting", true));
  // Pads batches with empty frames, which packed sequences do without: all frames have one size.
  REIN_RETURN_IF_ERROR(fields.Bool("do_pad", true).status());
  REIN_ASSIGN_OR_RETURN(processor.resample_, ParseResample(fields, Resample::kLanczos));
  REIN_RETURN_IF_ERROR(processor.ParseSize(fields));
  REIN_ASSIGN_OR_RETURN(const Fields frame, fields.Object("max_image_size"));
  if (fields.Has("max_image_size") && !frame.Has("longest_edge"))
    return fields.Error("max_image_size", "needs longest_edge");
  REIN_ASSIGN_OR_RETURN(processor.side_, frame.Int("longest_edge", 364, 1, kMaxSide));
  REIN_ASSIGN_OR_RETURN(processor.tables_, ParseNormalization(fields, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}));
  return processor;
}

Resolution Idefics3ImageProcessor::FirstSize(Resolution original) const {
  if (!resize_) return original;
  if (longest_edge_ == 0) return {resized_height_, resized_width_};
  return AtMost(WithLongestEdge(original, longest_edge_), kMaxSide);
}

absl::StatusOr<ProcessedImage> Idefics3ImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  const auto resize = [&](const data::RgbImage& from, Resolution size) {
    return Resize(from, static_cast<int>(size.width), static_cast<int>(size.height), resample_);
  };
  const Resolution first = FirstSize({image.height, image.width});
  data::RgbImage picture = resize(image, first);
  int64_t rows = 0, columns = 0;
  if (split_) {
    const Resolution size = ToMultiples(first, side_);
    if (size.height > kMaxSplitPixels / size.width) {
      return absl::InvalidArgumentError(absl::StrCat(
          "a picture of ", image.width, " x ", image.height, " would be split at ", size.width, " x ",
          size.height, ", at most ", kMaxSplitPixels, " pixels are allowed; scale it down"));
    }
    picture = resize(picture, size);
    const bool one = size.height <= side_ && size.width <= side_;
    rows = one ? 0 : size.height / side_;
    columns = one ? 0 : size.width / side_;
  }
  const int64_t frames = rows * columns + 1, values = 3 * side_ * side_;
  at::Tensor pixels = at::empty({frames, 3, side_, side_}, at::kByte);
  uint8_t* cursor = pixels.data_ptr<uint8_t>();
  const int side = static_cast<int>(side_);
  for (int64_t tile = 0; tile < rows * columns; ++tile, cursor += values) {
    const Window window{static_cast<int>(tile % columns) * side, static_cast<int>(tile / columns) * side,
                        side, side};
    WritePlanes(picture, window, cursor);
  }
  WritePlanes(resize(picture, {side_, side_}), {.columns = side, .rows = side}, cursor);
  return ProcessedImage{.pixels = std::move(pixels),
                        .feature_count = frames * frame_features_,
                        .grid = {rows, columns, 0},
                        .tables = tables_};
}

}  // namespace rein::models
