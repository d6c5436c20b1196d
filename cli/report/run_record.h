// A run folder as reports see it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "rein/v1/job.pb.h"

namespace rein::report {

// What the sampled answers of one step did, by the ground truth.
struct SampledKinds {
  int64_t samples = 0;
  std::map<std::string, int64_t> kinds;
};

// What the coordinator noted in the ledger: a swap, a rollback, a checkpoint that failed, ...
struct LedgerEvent {
  int64_t step = 0;  // the last one that was finished then
  std::string kind, text;
};

struct RunRecord {
  std::filesystem::path folder;
  std::optional<v1::Job> job;
  std::vector<nlohmann::json> metrics;            // one a step, in their order
  std::vector<nlohmann::json> evaluations;        // one a step, in their order
  std::map<int64_t, SampledKinds> sampled_kinds;  // by step; empty without ground truth
  std::vector<nlohmann::json> last_samples;       // a few of the last step
  std::vector<LedgerEvent> ledger_events;         // in their order, without plain commits
  nlohmann::json outcome = nlohmann::json::object();
  std::optional<int64_t> policy_step;  // whose policy is in RUN/policy
  std::vector<std::string> notes;      // what is missing or was skipped

  std::string name() const;
  // Has a ground truth: the data are scenes.
  bool synthetic() const;
  // Of job and metrics.
  std::vector<std::string> constraint_names() const;
  // nullptr where there is none.
  const nlohmann::json* start_evaluation() const;  // of step 0
  // Of the step whose policy was kept, else the last one; never the start.
  const nlohmann::json* final_evaluation() const;
};

// Reads what is there; files that are missing and lines that are no objects with a step are left out and
// noted. Errors: NOT_FOUND (no folder, or neither job.yaml nor metrics.jsonl in it).
absl::StatusOr<RunRecord> ReadRunRecord(const std::filesystem::path& folder);

}  // namespace rein::report
