// From a closed batch of samples with their columns to what trains policy and critics: windows, multipliers,
// shaping, GAE, mixing (docs/algorithm.md). Pure but for the multipliers that it steps.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "coordinator/constraints.h"
#include "nlohmann/json.hpp"
#include "rein/v1/common.pb.h"
#include "rein/v1/job.pb.h"

namespace rein::coordinator {

// One sample with everything that was computed of it. All per-token columns have its response length.
struct ScoredRow {
  v1::Sample sample;
  std::string category;
  std::vector<float> reference_logprobs;
  double reward = 0;
  std::string reward_digest;
  // By constraint, in the job's order.
  std::vector<double> costs;  // raw
  std::vector<std::string> cost_digests;
  std::vector<float> reward_values;             // V_r
  std::vector<std::vector<float>> cost_values;  // V_c, one per constraint
};

// What the rows became; same order and lengths as the rows.
struct Experience {
  std::vector<std::vector<float>> advantages;  // mixed, whitened if the job asks for it
  std::vector<std::vector<float>> reward_returns;
  std::vector<std::vector<std::vector<float>>> cost_returns;  // [constraint][row]
  std::vector<std::vector<float>> shaped_rewards;
  std::vector<std::vector<std::vector<float>>> shaped_costs;  // [constraint][row]
  std::vector<std::vector<double>> signals;                   // [constraint][row]
  std::vector<double> token_weights;                          // [row]
  std::vector<double> kl;                                     // [row], sum over tokens, nats
  std::vector<double> lambdas;                                // [constraint], after this step's update
  std::vector<bool> held;  // [constraint], lambda rested in this step because the scorer was swapped
};

// Rows in sample order. Checks all rows first, then steps the constraints. Errors: INVALID_ARGUMENT (no rows,
// a column's length differs from its response, a value is not finite: names the sample and the column); the
// constraints are then as they were.
absl::StatusOr<Experience> MakeExperience(const v1::Job& job, absl::Span<const ScoredRow> rows,
                                          Constraints& constraints);

// The part of a metrics.jsonl line that comes from the batch: samples, truncated, reward_mean, reward_std,
// kl, response_tokens, violation_rate with violation_low and _high, constraints, categories. What was not
// measured is left out (violation rates of a job without constraints), never 0 or null.
nlohmann::json BatchMetrics(const v1::Job& job, absl::Span<const ScoredRow> rows,
                            const Experience& experience, const Constraints& constraints);

// Per-token columns of row i for the ledger (`record: tokens`), as `rein trace` shows them: token_ids,
// behaviour_logprobs, reference_logprobs, kl, values {reward, NAME...}, rewards, costs {NAME...}, advantages,
// returns {reward, NAME...}. Rewards and costs are the shaped ones.
nlohmann::json TokenColumns(absl::Span<const ScoredRow> rows, const Experience& experience,
                            const Constraints& constraints, size_t i);

}  // namespace rein::coordinator
