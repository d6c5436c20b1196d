#include "models/image/any_resolution.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

// Python's int(round(value, 7)): what rounding errors put just below a whole number is that number.
int64_t WholePart(double value) { return static_cast<int64_t>(std::nearbyint(value * 1e7) / 1e7); }

constexpr size_t kMaxPinpoints = 256;
constexpr int64_t kMaxSide = 8192;  // pixels of a pinpoint

bool IsPinpoint(const Json& item) {
  const auto is_side = [](const Json& side) {
    return side.is_number_integer() && side.get<int64_t>() >= 1 && side.get<int64_t>() <= kMaxSide;
  };
  return item.is_array() && item.size() == 2 && is_side(item[0]) && is_side(item[1]);
}

absl::StatusOr<std::vector<Resolution>> ReadPinpoints(const Fields& fields) {
  const Json* list = fields.Find("image_grid_pinpoints");
  if (list == nullptr)
    return std::vector<Resolution>{{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
  if (!list->is_array() || list->empty() || list->size() > kMaxPinpoints)
    return fields.Error("image_grid_pinpoints",
                        absl::StrCat("must be a list of 1 to ", kMaxPinpoints, " pairs"));
  std::vector<Resolution> pinpoints;
  for (const Json& item : *list) {
    if (!IsPinpoint(item)) {
      return fields.Error("image_grid_pinpoints",
                          absl::StrCat("has ", item.dump().substr(0, 40),
                                       "; pairs of height and width from 1 to ", kMaxSide, " are needed"));
    }
    pinpoints.push_back({item[0].get<int64_t>(), item[1].get<int64_t>()});
  }
  return pinpoints;
}

}  // namespace

Resolution SelectBestResolution(Resolution original, const std::vector<Resolution>& candidates) {
  const auto height = static_cast<double>(original.height), width = static_cast<double>(original.width);
  Resolution best = candidates.front();
  int64_t most = 0, least_waste = std::numeric_limits<int64_t>::max();
  for (const Resolution& candidate : candidates) {
    const double scale = std::min(static_cast<double>(candidate.width) / width,
                                  static_cast<double>(candidate.height) / height);
    const int64_t scaled = static_cast<int64_t>(width * scale) * static_cast<int64_t>(height * scale);
    const int64_t kept = std::min(scaled, original.width * original.height);
    const int64_t waste = candidate.width * candidate.height - kept;
    if (kept > most || (kept == most && waste < least_waste)) {
      most = kept;
      least_waste = waste;
      best = candidate;
    }
  }
  return best;
}

Resolution FitInside(Resolution original, Resolution target) {
  const auto height = static_cast<double>(original.height), width = static_cast<double>(original.width);
  const double scale_width = static_cast<double>(target.width) / width;
  const double scale_height = static_cast<double>(target.height) / height;
  if (scale_width < scale_height) {
    const auto scaled = static_cast<int64_t>(std::ceil(height * scale_width));
    return {std::min(scaled, target.height), target.width};
  }
  const auto scaled = static_cast<int64_t>(std::ceil(width * scale_height));
  return {target.height, std::min(scaled, target.width)};
}

FeatureWindow UnpaddedFeatures(Resolution original, Resolution size) {
  const auto height = static_cast<double>(original.height), width = static_cast<double>(original.width);
  const auto rows = static_cast<double>(size.height), columns = static_cast<double>(size.width);
  FeatureWindow window{.size = size, .bottom = size.height, .right = size.width};
  if (width / height > columns / rows) {
    window.top = (size.height - WholePart(height * (columns / width))) / 2;
    window.bottom -= window.top;
  } else {
    window.left = (size.width - WholePart(width * (rows / height))) / 2;
    window.right -= window.left;
  }
  return window;
}

absl::StatusOr<Tiling> Tiling::Read(const Fields& fields, int64_t tile_side, int64_t features_across) {
  REIN_ASSIGN_OR_RETURN(std::vector<Resolution> pinpoints, ReadPinpoints(fields));
  for (const Resolution& pinpoint : pinpoints) {
    if (pinpoint.height % tile_side == 0 && pinpoint.width % tile_side == 0) continue;
    return fields.Unsupported("image_grid_pinpoints", absl::StrCat(pinpoint.height, " x ", pinpoint.width),
                              absl::StrCat("multiples of the tile's side ", tile_side));
  }
  return Tiling{
      .pinpoints = std::move(pinpoints), .tile_side = tile_side, .features_across = features_across};
}

Resolution Tiling::Tiles(Resolution original) const {
  const Resolution best = SelectBestResolution(original, pinpoints);
  return {best.height / tile_side, best.width / tile_side};
}

FeatureWindow Tiling::Features(Resolution original) const {
  const Resolution tiles = Tiles(original);
  return UnpaddedFeatures(original, {tiles.height * features_across, tiles.width * features_across});
}

}  // namespace rein::models
