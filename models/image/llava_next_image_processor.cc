#include "models/image/llava_next_image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr size_t kMaxPinpoints = 256;
constexpr int64_t kMaxSide = 8192;  // pixels of a pinpoint

bool IsPinpoint(const Json& item) {
  const auto is_side = [](const Json& side) {
    return side.is_number_integer() && side.get<int64_t>() >= 1 && side.get<int64_t>() <= kMaxSide;
  };
  return item.is_array() && item.size() == 2 && is_side(item[0]) && is_side(item[1]);
}

// `image` in the middle of a black picture of `size`; what is left over goes to the right and the bottom.
data::RgbImage Center(const data::RgbImage& image, Resolution size) {
  const auto width = static_cast<size_t>(size.width), height = static_cast<size_t>(size.height);
  data::RgbImage out{static_cast<int>(width), static_cast<int>(height),
                     std::vector<uint8_t>(3 * width * height)};
  const auto columns = static_cast<size_t>(image.width), rows = static_cast<size_t>(image.height);
  const size_t left = (width - columns) / 2, top = (height - rows) / 2;
  for (size_t y = 0; y < rows; ++y) {
    std::copy_n(image.pixels.data() + 3 * y * columns, 3 * columns,
                out.pixels.data() + 3 * ((top + y) * width + left));
  }
  return out;
}

}  // namespace

absl::Status LlavaNextImageProcessor::ParsePinpoints(const Fields& fields) {
  const Json* list = fields.Find("image_grid_pinpoints");
  if (list == nullptr) {
    pinpoints_ = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
    return absl::OkStatus();
  }
  if (!list->is_array() || list->empty() || list->size() > kMaxPinpoints)
    return fields.Error("image_grid_pinpoints",
                        absl::StrCat("must be a list of 1 to ", kMaxPinpoints, " pairs"));
  for (const Json& item : *list) {
    if (!IsPinpoint(item)) {
      return fields.Error("image_grid_pinpoints",
                          absl::StrCat("has ", item.dump().substr(0, 40),
                                       "; pairs of height and width from 1 to ", kMaxSide, " are needed"));
    }
    pinpoints_.push_back({item[0].get<int64_t>(), item[1].get<int64_t>()});
  }
  return absl::OkStatus();
}

// Tiles that are not whole, or not as large as the picture that comes first, have no place in the model.
absl::Status LlavaNextImageProcessor::CheckTiles(const Fields& fields) const {
  for (const Resolution& pinpoint : pinpoints_) {
    if (pinpoint.height % tile_side_ == 0 && pinpoint.width % tile_side_ == 0) continue;
    return fields.Unsupported("image_grid_pinpoints", absl::StrCat(pinpoint.height, " x ", pinpoint.width),
                              absl::StrCat("multiples of the tile's side ", tile_side_));
  }
  const data::RgbImage tile{static_cast<int>(tile_side_), static_cast<int>(tile_side_),
                            std::vector<uint8_t>(static_cast<size_t>(3 * tile_side_ * tile_side_))};
  REIN_ASSIGN_OR_RETURN(const at::Tensor pixels, clip_.Process(tile));
  if (pixels.size(2) == tile_side_ && pixels.size(3) == tile_side_) return absl::OkStatus();
  return fields.Unsupported(
      "size", absl::StrCat("(tiles come out as ", pixels.size(2), " x ", pixels.size(3), ")"),
      absl::StrCat("settings that keep tiles of ", tile_side_, " x ", tile_side_, " (crop_size)"));
}

absl::StatusOr<LlavaNextImageProcessor> LlavaNextImageProcessor::Parse(const Fields& fields,
                                                                       int64_t patch_size,
                                                                       int64_t base_features) {
  REIN_RETURN_IF_ERROR(CheckProcessorType(fields, {"LlavaNextImageProcessor"}));
  // Pads batches with empty tiles, which packed sequences do without.
  REIN_RETURN_IF_ERROR(fields.Bool("do_pad", true).status());
  Json clip_settings = fields.json();
  clip_settings.erase("do_pad");
  REIN_ASSIGN_OR_RETURN(ClipImageProcessor clip,
                        ClipImageProcessor::Parse(Fields(clip_settings, fields.where())));
  LlavaNextImageProcessor processor(std::move(clip), patch_size, base_features);
  processor.tile_side_ = processor.clip_.crop_height();
  if (patch_size < 1 || processor.tile_side_ < patch_size)
    return fields.Error("crop_size", absl::StrCat("is ", processor.tile_side_, ", below the vision tower's ",
                                                  "patches of ", patch_size));
  REIN_RETURN_IF_ERROR(processor.ParsePinpoints(fields));
  REIN_RETURN_IF_ERROR(processor.CheckTiles(fields));
  return processor;
}

FeatureWindow LlavaNextImageProcessor::Features(Resolution original) const {
  const Resolution best = SelectBestResolution(original, pinpoints_);
  const int64_t across = tile_side_ / patch_size_;
  return UnpaddedFeatures(original, {best.height / tile_side_ * across, best.width / tile_side_ * across});
}

absl::StatusOr<ProcessedImage> LlavaNextImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  const Resolution original{image.height, image.width};
  const Resolution best = SelectBestResolution(original, pinpoints_);
  const Resolution inside = FitInside(original, best);
  const auto resize = [&](Resolution size) {
    return Resize(image, static_cast<int>(size.width), static_cast<int>(size.height), clip_.resample());
  };
  const bool square = clip_.shortest_edge() > 0;
  const Resolution whole = square ? Resolution{clip_.shortest_edge(), clip_.shortest_edge()}
                                  : Resolution{clip_.resized_height(), clip_.resized_width()};
  const data::RgbImage padded = Center(resize(inside), best);
  const int64_t rows = best.height / tile_side_, columns = best.width / tile_side_;
  at::Tensor pixels = at::empty({1 + rows * columns, 3, tile_side_, tile_side_}, at::kFloat);
  const int side = static_cast<int>(tile_side_);
  REIN_ASSIGN_OR_RETURN(const at::Tensor first, clip_.Process(resize(whole)));
  if (first.size(2) != tile_side_ || first.size(3) != tile_side_) {
    return absl::InvalidArgumentError(absl::StrCat("the whole picture comes out as ", first.size(2), " x ",
                                                   first.size(3), ", tiles as ", side, " x ", side,
                                                   "; size and crop_size must agree"));
  }
  pixels[0].copy_(first[0]);
  for (int64_t tile = 0; tile < rows * columns; ++tile) {
    const Window window{static_cast<int>(tile % columns) * side, static_cast<int>(tile / columns) * side,
                        side, side};
    REIN_ASSIGN_OR_RETURN(const at::Tensor part, clip_.Process(Crop(padded, window)));
    pixels[tile + 1].copy_(part[0]);
  }
  return ProcessedImage{.pixels = std::move(pixels),
                        .feature_count = base_features_ + Features(original).count(),
                        .grid = {original.height, original.width, 0}};
}

}  // namespace rein::models
