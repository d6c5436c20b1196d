// How items are grouped into micro-batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace rein::training {

// Items [begin, end) of a batch.
struct MicroBatch {
  size_t begin = 0;
  size_t end = 0;
  bool operator==(const MicroBatch&) const = default;
};

// Splits items of the given token counts into runs of at most `limit` tokens, in order; an item larger than
// the limit is alone. A pure function of its arguments, so every replica and every repetition packs alike.
std::vector<MicroBatch> PackByTokens(absl::Span<const int64_t> item_tokens, int64_t limit);

// Divides items over `parts`: each item, the largest first, goes to the part with the fewest tokens so far
// (of equal ones the first). Indices of each part, ascending; parts may be empty. Pure.
std::vector<std::vector<size_t>> DivideByTokens(absl::Span<const int64_t> item_tokens, size_t parts);

}  // namespace rein::training
