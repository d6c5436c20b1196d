#include "models/image/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "models/image/resample_passes.h"

namespace rein::models {
namespace {

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

// Appends the input positions and fixed-point weights of one output position.
void AppendTaps(int output, double scale, int input_size, const Filter& filter, Taps* taps) {
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
  taps->firsts.push_back(first);
  taps->counts.push_back(last - first);
  taps->offsets.push_back(taps->weights.size());
  for (double weight : weights) {
    const double scaled = (sum != 0.0 ? weight / sum : weight) * (1 << kResamplePrecisionBits);
    taps->weights.push_back(static_cast<int32_t>(scaled + (scaled < 0 ? -0.5 : 0.5)));
  }
}

// The taps of output positions [first, first + count).
Taps TapsOf(int input_size, int output_size, int first, int count, const Filter& filter) {
  const double scale = static_cast<double>(input_size) / output_size;
  Taps taps;
  for (int i = first; i < first + count; ++i) AppendTaps(i, scale, input_size, filter, &taps);
  return taps;
}

// Rounding in between makes the order of the two passes visible. PIL 13 takes the rows first where that
// clearly saves work; earlier versions never do, so tall pictures differ a little between them.
bool RowsFirst(const data::RgbImage& image, int width, int height) {
  return height < image.height && image.height - height > 2 * (image.width - width);
}

}  // namespace

data::RgbImage Crop(const data::RgbImage& image, const Window& window) {
  const auto columns = static_cast<size_t>(window.columns), rows = static_cast<size_t>(window.rows);
  data::RgbImage out{window.columns, window.rows, data::Pixels(3 * columns * rows)};
  for (size_t y = 0; y < rows; ++y) {
    const size_t from = (static_cast<size_t>(window.top) + y) * static_cast<size_t>(image.width) +
                        static_cast<size_t>(window.left);
    std::copy_n(image.pixels.data() + 3 * from, 3 * columns, out.pixels.data() + 3 * y * columns);
  }
  return out;
}

data::RgbImage Resize(const data::RgbImage& image, int width, int height, Resample resample) {
  return ResizeWindow(image, width, height, resample, {.columns = width, .rows = height});
}

data::RgbImage ResizeWindow(const data::RgbImage& image, int width, int height, Resample resample,
                            const Window& window) {
  if (image.width == width && image.height == height) return Crop(image, window);
  const Filter filter = FilterOf(resample);
  const Taps columns = TapsOf(image.width, width, window.left, window.columns, filter);
  const Taps rows = TapsOf(image.height, height, window.top, window.rows, filter);
  const Span input_columns = InputOf(columns), input_rows = InputOf(rows);
  if (RowsFirst(image, width, height)) {
    const data::RgbImage shorter = ResizeRows(image, rows, 0, input_columns);
    return ResizeColumns(shorter, columns, input_columns.first, {0, shorter.height});
  }
  const data::RgbImage narrower = ResizeColumns(image, columns, 0, input_rows);
  return ResizeRows(narrower, rows, input_rows.first, {0, narrower.width});
}

}  // namespace rein::models
