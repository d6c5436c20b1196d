// LLaVA-NeXT's arithmetic of tiles and features, shared by its image processor and its model.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "models/json.h"

namespace rein::models {

struct Resolution {
  int64_t height = 0, width = 0;
  friend bool operator==(const Resolution&, const Resolution&) = default;
};

// The candidate that keeps most of the picture's pixels and, among equals, wastes fewest; the first wins.
// `candidates` must not be empty, no side may be 0.
Resolution SelectBestResolution(Resolution original, const std::vector<Resolution>& candidates);

// Size inside `target` that keeps the aspect of `original`; the rest of `target` is padding.
Resolution FitInside(Resolution original, Resolution target);

// The features of all tiles as one picture of `size`, of which rows [top, bottom) and columns [left, right)
// are no padding. After every such row the model inserts `image_newline`.
struct FeatureWindow {
  Resolution size;
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  // Rows with their newlines: what the tiles add to the features of the whole picture.
  int64_t count() const { return (bottom - top) * (right - left + 1); }
};

// `size`: features down and across all tiles.
FeatureWindow UnpaddedFeatures(Resolution original, Resolution size);

// How pictures are cut, and how many features the vision tower makes of a tile.
struct Tiling {
  std::vector<Resolution> pinpoints;  // sizes that pictures are resized into, multiples of tile_side
  int64_t tile_side = 0;              // pixels
  int64_t features_across = 0;        // of one tile; as many down

  // Reads "image_grid_pinpoints". Errors: INVALID_ARGUMENT, UNIMPLEMENTED (a pinpoint that is no whole number
  // of tiles).
  static absl::StatusOr<Tiling> Read(const Fields& fields, int64_t tile_side, int64_t features_across);

  // Tiles down and across of a picture.
  Resolution Tiles(Resolution original) const;
  // Where a picture's features lie among those of its tiles.
  FeatureWindow Features(Resolution original) const;
};

}  // namespace rein::models
