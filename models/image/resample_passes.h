// The two passes of a resize. Sums are 32-bit and exact, so that vector and scalar code agree to the bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "data/image.h"

namespace rein::models {

inline constexpr int kResamplePrecisionBits = 32 - 8 - 2;  // PIL's fixed point for 8-bit channels

// Input positions and fixed-point weights of a run of output positions, in structure-of-arrays form.
struct Taps {
  std::vector<int> firsts, counts;  // of input positions, one an output position; a count is at least 1
  std::vector<size_t> offsets;      // into weights
  std::vector<int32_t> weights;     // below 2^23 in size
  size_t size() const { return firsts.size(); }
};

// Positions [first, last).
struct Span {
  int first = 0, last = 0;
};

// What a run of output positions reads.
Span InputOf(const Taps& taps);

// The rows of `span`, each with its columns resized. `image` begins at the input's column `first_column`.
data::RgbImage ResizeColumns(const data::RgbImage& image, const Taps& columns, int first_column,
                             const Span& span);

// The columns of `span`, rows resized. `image` begins at the input's row `first_row`.
data::RgbImage ResizeRows(const data::RgbImage& image, const Taps& rows, int first_row, const Span& span);

// Off: scalar code also where the processor has AVX2. For tests; not thread-safe.
void UseVectorResample(bool use);

}  // namespace rein::models
