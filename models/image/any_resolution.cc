#include "models/image/any_resolution.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace rein::models {
namespace {

// Python's int(round(value, 7)): what rounding errors put just below a whole number is that number.
int64_t WholePart(double value) { return static_cast<int64_t>(std::nearbyint(value * 1e7) / 1e7); }

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

}  // namespace rein::models
