#include "models/image/pixels.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int kMaxSide = 1 << 16;
constexpr int64_t kMaxValues = int64_t{1} << 28;

}  // namespace

absl::Status CheckImage(const data::RgbImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxSide || image.height > kMaxSide ||
      image.pixels.size() != 3 * static_cast<size_t>(image.width) * static_cast<size_t>(image.height)) {
    return absl::InvalidArgumentError(absl::StrCat("a picture of ", image.width, " x ", image.height,
                                                   " with ", image.pixels.size(), " bytes; sides from 1 to ",
                                                   kMaxSide, " and 3 bytes a pixel are needed"));
  }
  return absl::OkStatus();
}

absl::Status CheckValues(const data::RgbImage& image, int64_t values) {
  if (values <= kMaxValues) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "a picture of ", image.width, " x ", image.height, " would become ", values, " numbers, at most ",
      kMaxValues, " are allowed; lower the sizes in the image processor's ", "settings"));
}

absl::Status CheckProcessorType(const Fields& fields, absl::Span<const char* const> types) {
  const std::string key =
      fields.Has("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  REIN_ASSIGN_OR_RETURN(const std::string type, fields.String(key, ""));
  absl::string_view name = type;
  if (!absl::ConsumeSuffix(&name, "Fast")) absl::ConsumeSuffix(&name, "Pil");
  if (name.empty() || std::find(types.begin(), types.end(), name) != types.end()) return absl::OkStatus();
  return fields.Unsupported(key, absl::StrCat("\"", type, "\""), absl::StrJoin(types, ", "));
}

absl::StatusOr<Resample> ParseResample(const Fields& fields, Resample fallback) {
  REIN_ASSIGN_OR_RETURN(const int64_t resample, fields.Int("resample", static_cast<int64_t>(fallback), 0, 5));
  if (resample < 1 || resample > 3) {
    return fields.Unsupported("resample", absl::StrCat(resample), "1 (Lanczos), 2 (bilinear), 3 (bicubic)");
  }
  return static_cast<Resample>(resample);
}

absl::StatusOr<at::Tensor> ParseNormalization(const Fields& fields, const std::vector<double>& mean,
                                              const std::vector<double>& deviation) {
  REIN_ASSIGN_OR_RETURN(const bool rescale, fields.Bool("do_rescale", true));
  REIN_ASSIGN_OR_RETURN(const double factor, fields.Number("rescale_factor", 1.0 / 255.0, 0, 1));
  REIN_ASSIGN_OR_RETURN(const bool normalize, fields.Bool("do_normalize", true));
  REIN_ASSIGN_OR_RETURN(const std::vector<double> means, fields.Numbers("image_mean", mean));
  REIN_ASSIGN_OR_RETURN(const std::vector<double> deviations, fields.Numbers("image_std", deviation));
  if (means.size() != 3 || deviations.size() != 3)
    return fields.Error("image_mean", "and image_std must have 3 numbers");
  for (double value : deviations) {
    if (!(value > 0)) return fields.Error("image_std", "must be above 0");
  }
  at::Tensor tables = at::empty({3, 256}, at::kFloat);
  float* cursor = tables.data_ptr<float>();
  for (size_t c = 0; c < 3; ++c) {
    for (int level = 0; level < 256; ++level) {
      const double value = rescale ? level * factor : level;
      *cursor++ = static_cast<float>(normalize ? (value - means[c]) / deviations[c] : value);
    }
  }
  return tables;
}

data::RgbImage Paste(const data::RgbImage& image, Resolution size, int64_t left, int64_t top) {
  const auto width = static_cast<size_t>(size.width), height = static_cast<size_t>(size.height);
  data::RgbImage out{static_cast<int>(width), static_cast<int>(height), data::Pixels(3 * width * height, 0)};
  const auto columns = static_cast<size_t>(image.width), rows = static_cast<size_t>(image.height);
  for (size_t y = 0; y < rows; ++y) {
    std::copy_n(image.pixels.data() + 3 * y * columns, 3 * columns,
                out.pixels.data() + 3 * ((static_cast<size_t>(top) + y) * width + static_cast<size_t>(left)));
  }
  return out;
}

void WritePlanes(const data::RgbImage& image, const Window& window, uint8_t* planes) {
  const auto columns = static_cast<size_t>(window.columns), rows = static_cast<size_t>(window.rows);
  for (size_t y = 0; y < rows; ++y) {
    const size_t from = (static_cast<size_t>(window.top) + y) * static_cast<size_t>(image.width) +
                        static_cast<size_t>(window.left);
    const uint8_t* pixel = image.pixels.data() + 3 * from;
    uint8_t* out = planes + y * columns;
    for (size_t x = 0; x < columns; ++x, pixel += 3) {
      out[x] = pixel[0];
      out[x + rows * columns] = pixel[1];
      out[x + 2 * rows * columns] = pixel[2];
    }
  }
}

}  // namespace rein::models
