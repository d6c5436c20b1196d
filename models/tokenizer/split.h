// What becomes of the matches of a pattern when text is split at them.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "models/json.h"
#include "models/tokenizer/regex.h"

namespace rein::models {

enum class SplitBehavior { kIsolated, kRemoved, kContiguous, kMergedWithPrevious, kMergedWithNext };

// The "behavior" of a component. Errors: INVALID_ARGUMENT, UNIMPLEMENTED (another behaviour).
absl::StatusOr<SplitBehavior> ParseSplitBehavior(const Fields& component, const std::string& fallback);

// Turns matches and what lies between them into pieces; `match` then means that the span is dropped.
void ApplySplitBehavior(SplitBehavior behavior, Spans& spans);

}  // namespace rein::models
