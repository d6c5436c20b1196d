#include "models/clip/image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int kPrecisionBits = 32 - 8 - 2;  // PIL's fixed point for 8-bit channels
constexpr int64_t kMaxSide = 1 << 16;       // of an input picture
constexpr int64_t kMaxResizedSide = 1 << 24;

double Bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

double Bilinear(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

double Sinc(double x) {
  if (x == 0.0) return 1.0;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

double Lanczos(double x) { return x >= -3.0 && x < 3.0 ? Sinc(x) * Sinc(x / 3.0) : 0.0; }

struct Filter {
  double (*weight)(double);
  double support;  // in input pixels when not shrinking
};

Filter FilterOf(Resample resample) {
  switch (resample) {
    case Resample::kLanczos:
      return {Lanczos, 3.0};
    case Resample::kBilinear:
      return {Bilinear, 1.0};
    case Resample::kBicubic:
      break;
  }
  return {Bicubic, 2.0};
}

// Input positions and fixed-point weights of one output position.
struct Taps {
  int first = 0;
  std::vector<int> weights;
};

Taps TapsAt(int output, double scale, int input_size, const Filter& filter) {
  const double filter_scale = std::max(scale, 1.0);
  const double support = filter.support * filter_scale;
  const double center = (output + 0.5) * scale;
  const int first = std::max(0, static_cast<int>(center - support + 0.5));
  const int last = std::min(input_size, static_cast<int>(center + support + 0.5));
  std::vector<double> weights;
  double sum = 0.0;
  for (int i = first; i < last; ++i) {
    weights.push_back(filter.weight((i - center + 0.5) * (1.0 / filter_scale)));
    sum += weights.back();
  }
  Taps taps{.first = first};
  for (double weight : weights) {
    const double scaled = (sum != 0.0 ? weight / sum : weight) * (1 << kPrecisionBits);
    taps.weights.push_back(static_cast<int>(scaled + (scaled < 0 ? -0.5 : 0.5)));
  }
  return taps;
}

std::vector<Taps> TapsOf(int input_size, int output_size, int first, int count, const Filter& filter) {
  const double scale = static_cast<double>(input_size) / output_size;
  std::vector<Taps> taps;
  taps.reserve(static_cast<size_t>(count));
  for (int i = first; i < first + count; ++i) taps.push_back(TapsAt(i, scale, input_size, filter));
  return taps;
}

uint8_t Clip8(int64_t value) {
  return static_cast<uint8_t>(std::clamp<int64_t>(value >> kPrecisionBits, 0, 255));
}

// One output pixel from inputs `stride` bytes apart.
void Combine(const Taps& taps, const uint8_t* input, size_t stride, uint8_t* output) {
  int64_t sums[3] = {1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1), 1 << (kPrecisionBits - 1)};
  for (int weight : taps.weights) {
    for (int c = 0; c < 3; ++c) sums[c] += int64_t{weight} * input[c];
    input += stride;
  }
  for (int c = 0; c < 3; ++c) output[c] = Clip8(sums[c]);
}

data::RgbImage Blank(int width, int height) {
  return {width, height, std::vector<uint8_t>(3 * static_cast<size_t>(width) * static_cast<size_t>(height))};
}

// Input positions [first, last) that a run of output positions reads.
struct Span {
  int first = 0, last = 0;
};

Span InputOf(const std::vector<Taps>& taps) {
  return {taps.front().first, taps.back().first + static_cast<int>(taps.back().weights.size())};
}

// The rows of `span`, each with its columns resized. `image` begins at the input's column `first_column`.
data::RgbImage ResizeColumns(const data::RgbImage& image, const std::vector<Taps>& columns, int first_column,
                             const Span& span) {
  data::RgbImage out = Blank(static_cast<int>(columns.size()), span.last - span.first);
  uint8_t* cursor = out.pixels.data();
  for (int y = span.first; y < span.last; ++y) {
    const uint8_t* row = image.pixels.data() + 3 * static_cast<size_t>(y) * static_cast<size_t>(image.width);
    for (const Taps& taps : columns) {
      Combine(taps, row + 3 * (taps.first - first_column), 3, cursor);
      cursor += 3;
    }
  }
  return out;
}

// The columns of `span`, rows resized. `image` begins at the input's row `first_row`.
data::RgbImage ResizeRows(const data::RgbImage& image, const std::vector<Taps>& rows, int first_row,
                          const Span& span) {
  data::RgbImage out = Blank(span.last - span.first, static_cast<int>(rows.size()));
  const size_t stride = 3 * static_cast<size_t>(image.width);
  uint8_t* cursor = out.pixels.data();
  for (const Taps& taps : rows) {
    const uint8_t* row = image.pixels.data() + static_cast<size_t>(taps.first - first_row) * stride;
    for (int x = span.first; x < span.last; ++x, cursor += 3) Combine(taps, row + 3 * x, stride, cursor);
  }
  return out;
}

// Rounding in between makes the order of the two passes visible. PIL 13 takes the rows first where that
// clearly saves work; earlier versions never do, so tall pictures differ a little between them.
bool RowsFirst(const data::RgbImage& image, int width, int height) {
  return height < image.height && image.height - height > 2 * (image.width - width);
}

// Pastes `image` with its corner at (left, top) of a black picture.
data::RgbImage Paste(const data::RgbImage& image, int width, int height, int left, int top) {
  data::RgbImage out = Blank(width, height);
  const size_t row_bytes = 3 * static_cast<size_t>(image.width);
  for (int y = 0; y < image.height; ++y) {
    const uint8_t* from = image.pixels.data() + static_cast<size_t>(y) * row_bytes;
    std::copy_n(from, row_bytes,
                out.pixels.data() + 3 * (static_cast<size_t>(y + top) * static_cast<size_t>(width) +
                                         static_cast<size_t>(left)));
  }
  return out;
}

// Where a center crop to `target` of a side of `size` takes from, and where that lands when the side is too
// short.
struct Crop {
  int64_t from = 0, count = 0, to = 0;
};

// As transformers' center_crop rounds: a short side is first padded, half of the padding, rounded up, in
// front.
Crop CenterCrop(int64_t size, int64_t target) {
  if (size >= target) return {.from = (size - target) / 2, .count = target};
  return {.count = size, .to = (target - size + 1) / 2};
}

absl::Status CheckImage(const data::RgbImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide ||
      image.pixels.size() != 3 * static_cast<size_t>(image.width) * static_cast<size_t>(image.height)) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", image.width, " x ", image.height,
                                                   " with ", image.pixels.size(), " bytes; sides from 1 to ",
                                                   kMaxSide, " and 3 bytes a pixel are needed"));
  }
  return absl::OkStatus();
}

}  // namespace

data::RgbImage ResizeWindow(const data::RgbImage& image, int width, int height, Resample resample,
                            const Window& window) {
  const Filter filter = FilterOf(resample);
  const std::vector<Taps> columns = TapsOf(image.width, width, window.left, window.columns, filter);
  const std::vector<Taps> rows = TapsOf(image.height, height, window.top, window.rows, filter);
  const Span input_columns = InputOf(columns), input_rows = InputOf(rows);
  if (RowsFirst(image, width, height)) {
    const data::RgbImage shorter = ResizeRows(image, rows, 0, input_columns);
    return ResizeColumns(shorter, columns, input_columns.first, {0, shorter.height});
  }
  const data::RgbImage narrower = ResizeColumns(image, columns, 0, input_rows);
  return ResizeRows(narrower, rows, input_rows.first, {0, narrower.width});
}

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

absl::Status ClipImageProcessor::ParseScaling(const Fields& fields) {
  REIN_ASSIGN_OR_RETURN(const bool rescale, fields.Bool("do_rescale", true));
  REIN_ASSIGN_OR_RETURN(rescale_, fields.Number("rescale_factor", 1.0 / 255.0, 0, 1));
  if (!rescale) rescale_ = 1.0;
  REIN_ASSIGN_OR_RETURN(const bool normalize, fields.Bool("do_normalize", true));
  REIN_ASSIGN_OR_RETURN(mean_, fields.Numbers("image_mean", {0.48145466, 0.4578275, 0.40821073}));
  REIN_ASSIGN_OR_RETURN(deviation_, fields.Numbers("image_std", {0.26862954, 0.26130258, 0.27577711}));
  if (mean_.size() != 3 || deviation_.size() != 3)
    return fields.Error("image_mean", "and image_std must have 3 numbers");
  for (double deviation : deviation_) {
    if (!(deviation > 0)) return fields.Error("image_std", "must be above 0");
  }
  if (!normalize) {
    mean_ = {0, 0, 0};
    deviation_ = {1, 1, 1};
  }
  return absl::OkStatus();
}

absl::StatusOr<ClipImageProcessor> ClipImageProcessor::Parse(const Fields& fields) {
  ClipImageProcessor processor;
  REIN_ASSIGN_OR_RETURN(processor.resize_, fields.Bool("do_resize", true));
  REIN_ASSIGN_OR_RETURN(processor.crop_, fields.Bool("do_center_crop", true));
  REIN_ASSIGN_OR_RETURN(const bool pad, fields.Bool("do_pad", false));
  if (pad) return fields.Unsupported("do_pad", "true", "false");
  REIN_ASSIGN_OR_RETURN(const int64_t resample, fields.Int("resample", 3, 0, 5));
  if (resample < 1 || resample > 3) {
    return fields.Unsupported("resample", absl::StrCat(resample), "1 (Lanczos), 2 (bilinear), 3 (bicubic)");
  }
  processor.resample_ = static_cast<Resample>(resample);
  REIN_RETURN_IF_ERROR(processor.ParseSizes(fields));
  REIN_RETURN_IF_ERROR(processor.ParseScaling(fields));
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
  const Crop columns = crop_ ? CenterCrop(width, crop_width_) : Crop{.count = width};
  const Crop rows = crop_ ? CenterCrop(height, crop_height_) : Crop{.count = height};
  const auto cast = [](int64_t value) { return static_cast<int>(value); };
  const Window window{cast(columns.from), cast(rows.from), cast(columns.count), cast(rows.count)};
  data::RgbImage resized = ResizeWindow(image, cast(width), cast(height), resample_, window);
  if (!crop_ || (columns.count == crop_width_ && rows.count == crop_height_)) return resized;
  return Paste(resized, cast(crop_width_), cast(crop_height_), cast(columns.to), cast(rows.to));
}

absl::StatusOr<at::Tensor> ClipImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  REIN_ASSIGN_OR_RETURN(const data::RgbImage ready, ResizeAndCrop(image));
  at::Tensor pixels = at::empty({1, 3, ready.height, ready.width}, at::kFloat);
  float* cursor = pixels.data_ptr<float>();
  const size_t count = ready.pixels.size() / 3;
  for (size_t c = 0; c < 3; ++c) {
    float table[256];
    for (int level = 0; level < 256; ++level) {
      table[level] = static_cast<float>((level * rescale_ - mean_[c]) / deviation_[c]);
    }
    for (size_t i = 0; i < count; ++i) *cursor++ = table[ready.pixels[3 * i + c]];
  }
  return pixels;
}

}  // namespace rein::models
