// Experience as people read it: the batch's part of a metrics line, and the columns of one sample.
#include <charconv>
#include <cmath>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>

#include "coordinator/experience.h"
#include "learning/advantage.h"

namespace rein::coordinator {
namespace {

using nlohmann::json;

// JSON knows neither NaN nor infinity: a mean that overflows or has nothing to average is left out.
void Put(json& out, const char* key, double value) {
  if (std::isfinite(value)) out[key] = value;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double StandardDeviation(const std::vector<double>& values) {
  const double mean = Mean(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

std::vector<double> Collect(absl::Span<const ScoredRow> rows,
                            const std::function<double(const ScoredRow&)>& number) {
  std::vector<double> numbers;
  for (const ScoredRow& row : rows) numbers.push_back(number(row));
  return numbers;
}

// With its 95 % interval: over few samples a rate says little.
void PutViolations(json& out, int64_t violations, int64_t samples) {
  if (samples == 0) return;
  const learning::Interval interval = learning::WilsonInterval(violations, samples);
  out["violation_rate"] = static_cast<double>(violations) / static_cast<double>(samples);
  out["violation_low"] = interval.low;
  out["violation_high"] = interval.high;
}

bool Violates(const ScoredRow& row) {
  for (const double cost : row.costs) {
    if (cost > 0) return true;
  }
  return false;
}

json ConstraintMetrics(const v1::Job& job, absl::Span<const ScoredRow> rows, const Experience& experience,
                       const Constraints& constraints, size_t c) {
  json metrics = {{"threshold", job.constraints(static_cast<int>(c)).threshold()},
                  {"lambda", experience.lambdas[c]},
                  {"held", static_cast<bool>(experience.held[c])}};
  Put(metrics, "cost_mean", Mean(Collect(rows, [c](const ScoredRow& row) { return row.costs[c]; })));
  Put(metrics, "signal_mean", Mean(experience.signals[c]));
  Put(metrics, "cost_window_mean", constraints.multiplier(c).window_mean());
  int64_t violations = 0;
  for (const ScoredRow& row : rows) violations += row.costs[c] > 0;
  PutViolations(metrics, violations, static_cast<int64_t>(rows.size()));
  return metrics;
}

struct CategorySums {
  int64_t samples = 0;
  int64_t violations = 0;
  double reward = 0;
};

json CategoryMetrics(absl::Span<const ScoredRow> rows, bool with_violations) {
  std::map<std::string, CategorySums> categories;
  for (const ScoredRow& row : rows) {
    CategorySums& sums = categories[row.category.empty() ? "uncategorised" : row.category];
    ++sums.samples;
    sums.violations += Violates(row);
    sums.reward += row.reward;
  }
  json metrics = json::object();
  for (const auto& [name, sums] : categories) {
    const double samples = static_cast<double>(sums.samples);
    metrics[name] = {{"samples", sums.samples}};
    Put(metrics[name], "reward_mean", sums.reward / samples);
    if (with_violations) metrics[name]["violation_rate"] = static_cast<double>(sums.violations) / samples;
  }
  return metrics;
}

// As a double that prints with the digits a float needs and reads back as the same float.
double Short(float value) {
  char text[32];
  const std::to_chars_result end = std::to_chars(text, text + sizeof(text), value);
  double result = value;
  std::from_chars(text, end.ptr, result);
  return result;
}

template <typename Floats>
json Column(const Floats& values) {
  json column = json::array();
  for (const float value : values) column.push_back(Short(value));
  return column;
}

json KlColumn(const ScoredRow& row) {
  json column = json::array();
  for (size_t t = 0; t < row.reference_logprobs.size(); ++t) {
    const float behaviour = row.sample.behaviour_logprobs(static_cast<int>(t));
    column.push_back(static_cast<double>(behaviour) - row.reference_logprobs[t]);
  }
  return column;
}

}  // namespace

json BatchMetrics(const v1::Job& job, absl::Span<const ScoredRow> rows, const Experience& experience,
                  const Constraints& constraints) {
  int64_t truncated = 0, violations = 0;
  for (const ScoredRow& row : rows) {
    truncated += row.sample.finish_reason() == v1::FINISH_REASON_LENGTH;
    violations += Violates(row);
  }
  const std::vector<double> rewards = Collect(rows, [](const ScoredRow& row) { return row.reward; });
  json metrics = {{"samples", rows.size()}, {"truncated", truncated}, {"constraints", json::object()}};
  Put(metrics, "reward_mean", Mean(rewards));
  Put(metrics, "reward_std", StandardDeviation(rewards));
  Put(metrics, "kl", Mean(experience.kl));
  Put(metrics, "response_tokens",
      Mean(Collect(rows, [](const ScoredRow& row) { return row.sample.response_tokens_size(); })));
  if (constraints.size() > 0) PutViolations(metrics, violations, static_cast<int64_t>(rows.size()));
  for (size_t c = 0; c < constraints.size(); ++c) {
    metrics["constraints"][constraints.name(c)] = ConstraintMetrics(job, rows, experience, constraints, c);
  }
  metrics["categories"] = CategoryMetrics(rows, constraints.size() > 0);
  return metrics;
}

json TokenColumns(absl::Span<const ScoredRow> rows, const Experience& experience,
                  const Constraints& constraints, size_t i) {
  const ScoredRow& row = rows[i];
  json values = {{"reward", Column(row.reward_values)}};
  json returns = {{"reward", Column(experience.reward_returns[i])}};
  json costs = json::object();
  for (size_t c = 0; c < constraints.size(); ++c) {
    values[constraints.name(c)] = Column(row.cost_values[c]);
    returns[constraints.name(c)] = Column(experience.cost_returns[c][i]);
    costs[constraints.name(c)] = Column(experience.shaped_costs[c][i]);
  }
  return {{"token_ids", row.sample.response_tokens()},
          {"behaviour_logprobs", Column(row.sample.behaviour_logprobs())},
          {"reference_logprobs", Column(row.reference_logprobs)},
          {"kl", KlColumn(row)},
          {"values", std::move(values)},
          {"rewards", Column(experience.shaped_rewards[i])},
          {"costs", std::move(costs)},
          {"advantages", Column(experience.advantages[i])},
          {"returns", std::move(returns)}};
}

}  // namespace rein::coordinator
