// What a decoder is fed: inputs checked, and turned into positions and cache slots.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/llama/decoder.h"
#include "models/vision_language_model.h"

namespace rein::models {

// New tokens of one sequence, end to end with those of the others.
struct TokenSpan {
  int64_t length = 0;
  int64_t position = 0;  // of the first of them
};

// Errors of all: INVALID_ARGUMENT (what does not fit: the sequence, both numbers).
absl::StatusOr<std::vector<TokenSpan>> PackedSpans(const PackedInput& input, const ModelShape& model);

struct CachedSpans {
  std::vector<TokenSpan> spans;
  CachePlan plan;
};
absl::StatusOr<CachedSpans> PlanCache(const CachedInput& input, const KvCache::Shape& cache,
                                      const ModelShape& model);

// Indices of the image placeholders among the ids (int64 [T], CPU), after checking that ids are in the
// vocabulary and that the placeholders of every picture stand side by side in one sequence.
absl::StatusOr<std::vector<int64_t>> PlaceholderIndices(const at::Tensor& ids,
                                                        const std::vector<TokenSpan>& spans,
                                                        const std::vector<ImageFeatures>& images,
                                                        const ModelShape& model);

// Every token one further than the one before: int64 [T].
at::Tensor ConsecutivePositions(absl::Span<const TokenSpan> spans);

}  // namespace rein::models
