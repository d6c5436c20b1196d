// The border to LibTorch: exceptions become a Status here and nowhere else in this folder.
#pragma once

#include <utility>

#include "absl/status/status.h"

namespace rein::training {

// The exception being handled, as a Status: RESOURCE_EXHAUSTED (out of memory) or INTERNAL. Call in a catch
// block.
absl::Status StatusOfCurrentException();

// Runs `work`, which returns a Status or StatusOr.
template <typename Work>
auto Guarded(Work&& work) -> decltype(work()) {
  try {
    return std::forward<Work>(work)();
  } catch (...) {
    return StatusOfCurrentException();
  }
}

}  // namespace rein::training
