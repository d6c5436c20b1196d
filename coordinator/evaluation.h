// The present policy on held-out prompts: greedy answers, scored, and judged by the ground truth where there
// is one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "coordinator/batch.h"
#include "coordinator/prompts.h"
#include "nlohmann/json.hpp"

namespace rein::coordinator {

// The contents of evaluations/step-N.json (docs/operating.md). Errors: those of RunBatch; INVALID_ARGUMENT
// (no prompt could be answered).
absl::StatusOr<nlohmann::json> Evaluate(const BatchTools& tools, const PromptSource& prompts, int64_t step);

// A sample as samples.jsonl and evaluations hold it: texts, scores, ground truth.
nlohmann::json DescribeSample(const v1::Job& job, const ScoredRow& row, const PromptSource& prompts);

}  // namespace rein::coordinator
