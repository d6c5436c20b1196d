#include "models/image/llava_next_image_processor.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

// `image` in the middle of a black picture of `size`; what is left over goes to the right and the bottom.
data::RgbImage Center(const data::RgbImage& image, Resolution size) {
  return Paste(image, size, (size.width - image.width) / 2, (size.height - image.height) / 2);
}

}  // namespace

// Tiles that do not come out as large as they were cut have no place in the model.
absl::Status LlavaNextImageProcessor::CheckTile(const Fields& fields) const {
  const int64_t side = tiling_.tile_side;
  const data::RgbImage tile{static_cast<int>(side), static_cast<int>(side),
                            data::Pixels(static_cast<size_t>(3 * side * side), 0)};
  REIN_ASSIGN_OR_RETURN(const ProcessedImage processed, clip_.Process(tile));
  const at::Tensor& pixels = processed.pixels;
  if (pixels.size(2) == side && pixels.size(3) == side) return absl::OkStatus();
  return fields.Unsupported("size",
                            absl::StrCat("(tiles come out as ", pixels.size(2), " x ", pixels.size(3), ")"),
                            absl::StrCat("settings that keep tiles of ", side, " x ", side, " (crop_size)"));
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
  const int64_t side = clip.crop_height();
  if (patch_size < 1 || side < patch_size)
    return fields.Error("crop_size",
                        absl::StrCat("is ", side, ", below the vision tower's patches of ", patch_size));
  REIN_ASSIGN_OR_RETURN(Tiling tiling, Tiling::Read(fields, side, side / patch_size));
  LlavaNextImageProcessor processor(std::move(clip), std::move(tiling), base_features);
  REIN_RETURN_IF_ERROR(processor.CheckTile(fields));
  return processor;
}

absl::StatusOr<ProcessedImage> LlavaNextImageProcessor::Process(const data::RgbImage& image) const {
  REIN_RETURN_IF_ERROR(CheckImage(image));
  const Resolution original{image.height, image.width};
  const Resolution tiles = tiling_.Tiles(original);
  const int64_t tile_side = tiling_.tile_side;
  const Resolution best{tiles.height * tile_side, tiles.width * tile_side};
  const auto resize = [&](Resolution size) {
    return Resize(image, static_cast<int>(size.width), static_cast<int>(size.height), clip_.resample());
  };
  const bool square = clip_.shortest_edge() > 0;
  const Resolution whole = square ? Resolution{clip_.shortest_edge(), clip_.shortest_edge()}
                                  : Resolution{clip_.resized_height(), clip_.resized_width()};
  const data::RgbImage padded = Center(resize(FitInside(original, best)), best);
  const int64_t count = tiles.height * tiles.width;
  at::Tensor pixels = at::empty({1 + count, 3, tile_side, tile_side}, at::kByte);
  const int side = static_cast<int>(tile_side);
  REIN_ASSIGN_OR_RETURN(const ProcessedImage small, clip_.Process(resize(whole)));
  const at::Tensor& first = small.pixels;
  if (first.size(2) != tile_side || first.size(3) != tile_side) {
    return absl::InvalidArgumentError(absl::StrCat("the whole picture comes out as ", first.size(2), " x ",
                                                   first.size(3), ", tiles as ", side, " x ", side,
                                                   "; size and crop_size must agree"));
  }
  pixels[0].copy_(first[0]);
  for (int64_t tile = 0; tile < count; ++tile) {
    const Window window{static_cast<int>(tile % tiles.width) * side,
                        static_cast<int>(tile / tiles.width) * side, side, side};
    REIN_ASSIGN_OR_RETURN(const ProcessedImage part, clip_.Process(Crop(padded, window)));
    pixels[tile + 1].copy_(part.pixels[0]);
  }
  return ProcessedImage{.pixels = std::move(pixels),
                        .feature_count = base_features_ + tiling_.Features(original).count(),
                        .grid = {original.height, original.width, 0},
                        .tables = small.tables};
}

}  // namespace rein::models
