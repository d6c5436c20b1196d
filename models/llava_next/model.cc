#include "models/llava_next/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/status.h"
#include "models/llama/config.h"
#include "models/llava/names.h"

namespace rein::models {
namespace {

Resolution SizeOf(const ProcessedImage& image) { return {.height = image.grid[0], .width = image.grid[1]}; }

}  // namespace

LlavaNextModel::LlavaNextModel(LlavaNextConfig config, Origin origin)
    : DecoderModel("llava_next", config.llava.image_token_id, std::move(origin)),
      config_(std::move(config)),
      newline_(parameters().Add("image_newline", {config_.llava.text.hidden}, Parameters::Fill::kNormal,
                                1.0 / std::sqrt(static_cast<double>(config_.llava.text.hidden)))),
      vision_(config_.llava, parameters()) {
  AddDecoder(config_.llava.text,
             {.prefix = "language_model.model.", .head = "language_model.lm_head.weight"});
}

absl::StatusOr<std::unique_ptr<DecoderModel>> LlavaNextModel::Make(Origin origin) {
  REIN_ASSIGN_OR_RETURN(LlavaNextConfig config, ParseLlavaNextConfig(origin.json, origin.where));
  return std::unique_ptr<DecoderModel>(new LlavaNextModel(std::move(config), std::move(origin)));
}

void LlavaNextModel::CheckTiles(const ProcessedImage& image) const {
  const Resolution size = SizeOf(image);
  TORCH_CHECK(size.height > 0 && size.width > 0, "a picture of ", size.width, " x ", size.height,
              " pixels; its grid must be height and width");
  const Resolution tiles = config_.tiling.Tiles(size);
  const int64_t count = 1 + tiles.height * tiles.width, side = config_.tiling.tile_side;
  TORCH_CHECK(image.pixels.sizes() == at::IntArrayRef({count, 3, side, side}), "pixels of shape ",
              image.pixels.sizes(), "; [", count, ", 3, ", side, ", ", side, "] is needed for a picture of ",
              size.width, " x ", size.height);
}

std::vector<ImageFeatures> LlavaNextModel::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  std::vector<int64_t> counts;
  for (const ProcessedImage& image : images) {
    CheckTiles(image);
    counts.push_back(image.pixels.size(0));
  }
  const at::Tensor encoded = vision_.Encode(Numbers(images, device()));
  std::vector<ImageFeatures> features;
  for (const at::Tensor& tiles : encoded.split_with_sizes(counts)) {
    const ProcessedImage& image = images[features.size()];
    std::copy_n(image.grid, 3, features.emplace_back(ImageFeatures{Join(tiles, SizeOf(image))}).grid);
  }
  return features;
}

at::Tensor LlavaNextModel::Join(const at::Tensor& tiles, Resolution original) const {
  const Resolution grid = config_.tiling.Tiles(original);
  const FeatureWindow window = config_.tiling.Features(original);
  const int64_t across = config_.tiling.features_across;
  const at::Tensor picture = tiles.slice(0, 1)
                                 .view({grid.height, grid.width, across, across, -1})
                                 .transpose(1, 2)
                                 .reshape({window.size.height, window.size.width, -1})
                                 .slice(0, window.top, window.bottom)
                                 .slice(1, window.left, window.right);
  const at::Tensor newlines = newline_.expand({picture.size(0), 1, -1});
  return at::cat({tiles[0], at::cat({picture, newlines}, 1).flatten(0, 1)});
}

std::string LlavaNextModel::CanonicalName(absl::string_view name) const { return CanonicalLlavaName(name); }

bool LlavaNextModel::IsDerived(absl::string_view canonical_name) const {
  return IsDerivedLlavaBuffer(canonical_name);
}

std::string LlavaNextModel::VisionPartOf(absl::string_view tensor_name) const {
  return LlavaVisionPart(tensor_name);
}

std::string LlavaNextModel::RenderConfig(const Json& json, const std::string& dtype) const {
  return RenderConfigJson(json, config_.llava.text, dtype);
}

}  // namespace rein::models
