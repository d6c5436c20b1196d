#include "models/qwen2_vl/model.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "base/status.h"
#include "models/llama/config.h"
#include "models/qwen2_vl/names.h"
#include "models/qwen2_vl/positions.h"

namespace rein::models {
namespace {

PatchGrid GridOf(const int64_t (&grid)[3]) { return {.times = grid[0], .rows = grid[1], .columns = grid[2]}; }

}  // namespace

Qwen2VlModel::Qwen2VlModel(const Qwen2VlConfig& config, Origin origin)
    : DecoderModel("qwen2_vl", config.image_token_id, std::move(origin)),
      config_(config),
      tower_(config.vision, parameters()) {
  AddDecoder(config.text, {.prefix = "model.", .head = "lm_head.weight"});
}

absl::StatusOr<std::unique_ptr<DecoderModel>> Qwen2VlModel::Make(Origin origin) {
  REIN_ASSIGN_OR_RETURN(const Qwen2VlConfig config, ParseQwen2VlConfig(origin.json, origin.where));
  return std::unique_ptr<DecoderModel>(new Qwen2VlModel(config, std::move(origin)));
}

void Qwen2VlModel::CheckPatches(const ProcessedImage& image) const {
  const PatchGrid grid = GridOf(image.grid);
  const int64_t merge = config_.vision.merge_size, values = config_.vision.patch_values();
  TORCH_CHECK(grid.times == 1 && grid.rows > 0 && grid.columns > 0 && grid.rows % merge == 0 &&
                  grid.columns % merge == 0,
              "a picture of ", grid.times, " x ", grid.rows, " x ", grid.columns,
              " patches; one time and sides that are multiples of ", merge, " are needed");
  TORCH_CHECK(
      image.pixels.dim() == 2 && image.pixels.size(0) == grid.patches() && image.pixels.size(1) == values,
      "pixels of shape ", image.pixels.sizes(), "; [", grid.patches(), ", ", values, "] is needed");
}

std::vector<ImageFeatures> Qwen2VlModel::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  std::vector<PatchGrid> grids;
  std::vector<int64_t> counts;
  for (const ProcessedImage& image : images) {
    CheckPatches(image);
    grids.push_back(GridOf(image.grid));
    counts.push_back(grids.back().patches() / (config_.vision.merge_size * config_.vision.merge_size));
  }
  const at::Tensor encoded = tower_.Encode(Numbers(images, device()), grids);
  std::vector<ImageFeatures> features;
  for (at::Tensor& picture : encoded.split_with_sizes(counts)) {
    ImageFeatures& added = features.emplace_back(ImageFeatures{.features = std::move(picture)});
    std::copy_n(images[features.size() - 1].grid, 3, added.grid);
  }
  return features;
}

int64_t Qwen2VlModel::PositionOffset(absl::Span<const ProcessedImage> images) const {
  int64_t offset = 0;
  for (const ProcessedImage& image : images)
    offset += MropeExtent(GridOf(image.grid), config_.vision.merge_size) - image.feature_count;
  return offset;
}

at::Tensor Qwen2VlModel::Positions(const at::Tensor& ids, absl::Span<const TokenSpan> spans,
                                   absl::Span<const ImageFeatures> images) const {
  std::vector<PatchGrid> grids;
  for (const ImageFeatures& image : images) grids.push_back(GridOf(image.grid));
  return MropePositions(ids, config_.image_token_id, spans, grids, config_.vision.merge_size);
}

std::string Qwen2VlModel::CanonicalName(absl::string_view name) const { return CanonicalQwen2VlName(name); }

bool Qwen2VlModel::IsDerived(absl::string_view canonical_name) const {
  return IsDerivedQwen2VlBuffer(canonical_name);
}

std::string Qwen2VlModel::VisionPartOf(absl::string_view tensor_name) const {
  if (absl::StartsWith(tensor_name, "visual.merger.")) return "projector";
  return absl::StartsWith(tensor_name, "visual.") ? "vision" : "";
}

std::string Qwen2VlModel::RenderConfig(const Json& json, const std::string& dtype) const {
  return RenderConfigJson(json, config_.text, dtype);
}

}  // namespace rein::models
