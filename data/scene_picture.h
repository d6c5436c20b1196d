// Renders scenes with OpenCV.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/hash.h"
#include "data/scenes.h"

namespace rein::data {

// PNG of `size` x `size` pixels: the object near the middle; a hazard mark or a label with a letter in a
// corner. Place, size and shades vary with `random`. Errors: INTERNAL.
absl::StatusOr<std::string> RenderScene(const Scene& scene, int size, CounterRandom& random);

}  // namespace rein::data
