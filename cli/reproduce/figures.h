// What came out of the comparison: read from the folders of its seeds.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/reproduce/stages.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

// Figures of one seed by name. A figure that does not exist there (the threshold of a policy without a
// constraint) is left out.
using Figures = std::map<std::string, double>;

// Of one policy: harmful_safety and benign_helpfulness (score against the base, (wins + ties / 2) / all, by
// the ground truth), safe, safe_harmful, helpfulness, benign_refused, violations (share of all answers that
// are unsafe); of RL runs with a constraint also signal (mean of the constrained signal over the last third
// of the steps), threshold, and lambda (mean over the last third). Errors: those of files, INVALID_ARGUMENT
// (names the file).
absl::StatusOr<Figures> PolicyFigures(const std::filesystem::path& seed_folder, const ComparedPolicy& policy);

// Of models trained on `pairs`, on held-out pairs: reward_ranking, cost_ranking, cost_sign.
absl::StatusOr<Figures> PairFigures(const std::filesystem::path& seed_folder, int pairs);

// Of guard and guardrail: macro_f1, false_positive_rate, auc, category_macro_f1; base_safe (the base without
// guard), round_N (safe answers of a user who stops after round N), delivered.
absl::StatusOr<Figures> GuardFigures(const std::filesystem::path& seed_folder);

struct Comparison {
  std::vector<uint64_t> seeds;
  std::vector<ComparedPolicy> policies;
  std::map<std::string, std::vector<Figures>>
      policy;                                 // by key, one a seed; empty Figures where it was not made
  std::map<int, std::vector<Figures>> pairs;  // by number of pairs
  std::vector<Figures> guard;
};
absl::StatusOr<Comparison> ReadComparison(const std::filesystem::path& folder,
                                          const std::vector<uint64_t>& seeds,
                                          const ComparisonOptions& options);

// Mean, smallest and largest over the seeds that have the figure.
struct Spread {
  double mean = 0, low = 0, high = 0;
  int seeds = 0;
};
std::optional<Spread> SpreadOf(const std::vector<Figures>& seeds, const std::string& name);

// A figure that the comparison is expected to reach, and what it came to.
struct Check {
  std::string text;
  std::string value;
  bool met = false;
};
std::vector<Check> ChecksOf(const Comparison& comparison);

nlohmann::json ToJson(const Comparison& comparison);

}  // namespace rein::cli
