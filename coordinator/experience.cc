#include "coordinator/experience.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "learning/advantage.h"

namespace rein::coordinator {
namespace {

using learning::ShapingInput;

absl::Status Bad(const ScoredRow& row, const std::string& text) {
  return absl::InvalidArgumentError(
      absl::StrCat("sample ", row.sample.sample_id(), ": ", text, "; compute it again, or drop the sample"));
}

absl::Status CheckColumn(const ScoredRow& row, const std::string& column, absl::Span<const float> values) {
  const size_t length = static_cast<size_t>(row.sample.response_tokens_size());
  if (values.size() != length) {
    return Bad(row,
               absl::StrCat(column, " has ", values.size(), " values, the response has ", length, " tokens"));
  }
  for (size_t t = 0; t < length; ++t) {
    if (!std::isfinite(values[t])) {
      return Bad(row, absl::StrCat(column, " at token ", t, " is ", values[t], ", not a finite number"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckScore(const ScoredRow& row, const std::string& column, double value) {
  if (std::isfinite(value)) return absl::OkStatus();
  return Bad(row, absl::StrCat(column, " is ", value, ", not a finite number"));
}

absl::Status CheckCosts(const ScoredRow& row, const Constraints& constraints) {
  if (row.costs.size() != constraints.size() || row.cost_values.size() != constraints.size()) {
    return Bad(row,
               absl::StrCat("has ", row.costs.size(), " costs and ", row.cost_values.size(),
                            " columns of cost values, the job has ", constraints.size(), " constraints"));
  }
  for (size_t c = 0; c < constraints.size(); ++c) {
    const std::string& name = constraints.name(c);
    REIN_RETURN_IF_ERROR(CheckScore(row, absl::StrCat("cost '", name, "'"), row.costs[c]));
    REIN_RETURN_IF_ERROR(CheckColumn(row, absl::StrCat("values of critic '", name, "'"), row.cost_values[c]));
  }
  return absl::OkStatus();
}

absl::Status CheckRow(const ScoredRow& row, const Constraints& constraints) {
  if (row.sample.response_tokens().empty()) return Bad(row, "has no response token");
  REIN_RETURN_IF_ERROR(CheckColumn(row, "behaviour_logprobs", row.sample.behaviour_logprobs()));
  REIN_RETURN_IF_ERROR(CheckColumn(row, "reference_logprobs", row.reference_logprobs));
  REIN_RETURN_IF_ERROR(CheckScore(row, "reward", row.reward));
  REIN_RETURN_IF_ERROR(CheckColumn(row, "values of critic 'reward'", row.reward_values));
  return CheckCosts(row, constraints);
}

std::vector<std::vector<double>> SignalsOf(absl::Span<const ScoredRow> rows, const Constraints& constraints) {
  std::vector<std::vector<double>> signals(constraints.size());
  for (size_t c = 0; c < constraints.size(); ++c) {
    for (const ScoredRow& row : rows) signals[c].push_back(constraints.Signal(c, row.costs[c]));
  }
  return signals;
}

// Without the reward (ppo_cost, every lambda 1) the first cost takes its place with a weight of -1. The
// weights then sum to the denominator as in every other mode: A = -mean of the A_c, in which KL keeps its
// full beta. Only leaving the reward out would halve the step of a single constraint.
std::vector<float> Mix(const std::string& mode, absl::Span<const float> reward,
                       absl::Span<const std::vector<float>> costs, absl::Span<const double> lambdas) {
  if (mode != "ppo_cost" || costs.empty()) return learning::MixAdvantages(reward, costs, lambdas);
  return learning::MixAdvantages(costs[0], costs.subspan(1), lambdas.subspan(1), -1.0);
}

// Shapes and mixes one more row, whose signals and lambdas are there.
void AppendRow(const v1::Algorithm& algorithm, const ScoredRow& row, Experience& experience) {
  const ShapingInput input{row.sample.behaviour_logprobs(), row.reference_logprobs,
                           algorithm.kl_coefficient(), algorithm.shaping_clip()};
  const auto gae = [&algorithm](absl::Span<const float> shaped, absl::Span<const float> values) {
    return learning::Gae(shaped, values, algorithm.gamma(), algorithm.gae_lambda());
  };
  const size_t i = experience.advantages.size();
  experience.kl.push_back(learning::SequenceKl(input));
  experience.shaped_rewards.push_back(learning::ShapeReward(input, row.reward));
  learning::Advantages reward = gae(experience.shaped_rewards.back(), row.reward_values);
  experience.reward_returns.push_back(std::move(reward.returns));
  std::vector<std::vector<float>> cost_advantages;
  for (size_t c = 0; c < row.costs.size(); ++c) {
    experience.shaped_costs[c].push_back(learning::ShapeCost(input, experience.signals[c][i]));
    learning::Advantages cost = gae(experience.shaped_costs[c].back(), row.cost_values[c]);
    experience.cost_returns[c].push_back(std::move(cost.returns));
    cost_advantages.push_back(std::move(cost.advantages));
  }
  experience.advantages.push_back(
      Mix(algorithm.mode(), reward.advantages, cost_advantages, experience.lambdas));
}

// What each token of a row weighs in the losses; over all tokens of the batch they sum to 1.
std::vector<double> TokenWeights(const std::string& loss_mean, absl::Span<const ScoredRow> rows) {
  double tokens = 0;
  for (const ScoredRow& row : rows) tokens += row.sample.response_tokens_size();
  std::vector<double> weights;
  for (const ScoredRow& row : rows) {
    const double of_sequence = static_cast<double>(rows.size()) * row.sample.response_tokens_size();
    weights.push_back(1 / (loss_mean == "token" ? tokens : of_sequence));
  }
  return weights;
}

}  // namespace

absl::StatusOr<Experience> MakeExperience(const v1::Job& job, absl::Span<const ScoredRow> rows,
                                          Constraints& constraints) {
  if (rows.empty()) return absl::InvalidArgumentError("a batch without samples: there is nothing to learn");
  for (const ScoredRow& row : rows) REIN_RETURN_IF_ERROR(CheckRow(row, constraints));
  Experience experience;
  for (size_t c = 0; c < constraints.size(); ++c) {
    experience.held.push_back(constraints.multiplier(c).state().held);
  }
  experience.signals = SignalsOf(rows, constraints);
  experience.lambdas = constraints.Step(experience.signals);
  experience.shaped_costs.resize(constraints.size());
  experience.cost_returns.resize(constraints.size());
  for (const ScoredRow& row : rows) AppendRow(job.algorithm(), row, experience);
  if (job.algorithm().whiten_advantages()) learning::Whiten(absl::MakeSpan(experience.advantages));
  experience.token_weights = TokenWeights(job.algorithm().loss_mean(), rows);
  return experience;
}

}  // namespace rein::coordinator
