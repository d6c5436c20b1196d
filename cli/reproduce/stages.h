// The paper's comparison on scenes (synthetic), as a list of commands of `rein`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace rein::cli {

// Job files of deploy/jobs by name ("sft.yaml").
const std::map<std::string, std::string>& JobTexts();

struct ComparisonOptions {
  std::string family = "llava";
  bool sensitivity = true;        // RL with other thresholds and start values of lambda
  std::vector<std::string> sets;  // "steps=40": settings of all RL jobs
};

// A policy of the comparison: the folder of its model, and the run that made it, if RL did.
struct ComparedPolicy {
  std::string key;    // "safe_rlhf_v_pid"
  std::string title;  // "Safe RLHF-V, PID"
  std::string model;  // below the seed's folder
  std::string run;    // likewise; empty: trained offline
  enum class Kind { kBase, kBaseline, kOurs, kSensitivity } kind = Kind::kBaseline;
};
// The base policy first.
std::vector<ComparedPolicy> ComparedPolicies(const ComparisonOptions& options);

// Numbers of pairs that reward and cost models are trained on, rising; the last one is the data of the
// comparison.
inline constexpr int kPairCounts[] = {375, 1500, 6000};
// Pairs that none of these models is trained on, and that all are judged by.
inline constexpr int kHeldOutPairs = 1000;
// Model folder of `kind` ("reward", "cost"), below the seed's folder.
std::string PairModel(const std::string& kind, int pairs);

struct Stage {
  std::string name;                    // a file name
  std::vector<std::string> arguments;  // of `rein`
  // Where this is there, the stage has begun before and goes on with `resume_flag`.
  std::filesystem::path begun;
  std::string resume_flag = "--resume";
};

// All stages of one seed in an order in which each finds what it needs. `folder` is absolute and holds
// JobTexts().
std::vector<Stage> StagesOf(const std::filesystem::path& folder, uint64_t seed,
                            const ComparisonOptions& options);

struct StageProgress {
  size_t number, all;  // from 1
  const Stage* stage;
  bool done_before;
};

// Runs the stages of a seed one after the other. A stage that has succeeded with the same arguments is not
// run again (folder/.stages/NAME). What stages print goes to folder/logs/NAME.log. The job files are written
// first. Errors: UNAVAILABLE (a stage failed: names it, its log and the log's last line), those of writing
// files. When this process ends, so does the stage.
absl::Status RunStages(const std::filesystem::path& rein, const std::filesystem::path& folder,
                       const std::vector<Stage>& stages,
                       absl::FunctionRef<void(const StageProgress&)> progress);

}  // namespace rein::cli
