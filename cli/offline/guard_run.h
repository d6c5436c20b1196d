// The guardrail over a data set.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "actors/rollout/engine/engine.h"
#include "cli/offline/guard_records.h"
#include "cli/offline/model_folder.h"
#include "data/read_options.h"
#include "guard/guardrail.h"
#include "guard/model/guard_model.h"

namespace rein::cli {

struct GuardRunOptions {
  std::filesystem::path policy, data, output;
  data::ReadOptions reading;  // pictures are not looked at
  guard::GuardrailOptions rails;
  rollout::SamplingParams params;
  int64_t questions = 0;  // from the beginning of the data; 0: all
  int64_t chunk = 16;     // questions in memory at a time; records do not depend on it, up to rounding
  bool resume = false;
};

using GuardProgressFn = absl::FunctionRef<void(int64_t done, int64_t all)>;

// Asks the policy each question of the data, whose rows from 1 on are the ids, inside the guardrail, and
// writes OUTPUT/records.jsonl (GuardRecords), guardrail.json (GuardSummary::ToJson with
// "settings" and "data": rows read, and those dropped by reason) and guardrail.md. `progress` is told before
// the first chunk and after each one how many questions are done. Pictures that cannot be used are reasons in
// the records and end nothing. Errors: those of CountRows, of reading the data, of GuardRecords::Open, of
// guard and policy.
absl::StatusOr<GuardSummary> RunGuardOver(const GuardRunOptions& options, guard::GuardModel& guard,
                                          const ModelFolder& policy, GuardProgressFn progress);

}  // namespace rein::cli
