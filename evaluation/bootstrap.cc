#include "evaluation/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "base/hash.h"

namespace rein::evaluation {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double MeanOf(const Column& column) {
  double sum = 0;
  int64_t count = 0;
  for (const double value : column) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNone : sum / static_cast<double>(count);
}

double MeanOf(const Column& column, const std::vector<size_t>& drawn) {
  double sum = 0;
  int64_t count = 0;
  for (const size_t question : drawn) {
    const double value = column[question];
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count == 0 ? kNone : sum / static_cast<double>(count);
}

double Quantile(const std::vector<double>& sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (position - static_cast<double>(below));
}

// A resample may draw none of the few questions that have a value: it says nothing.
learning::Interval IntervalOf(std::vector<double> means) {
  means.erase(std::remove_if(means.begin(), means.end(), [](double mean) { return std::isnan(mean); }),
              means.end());
  if (means.empty()) return {kNone, kNone};
  std::sort(means.begin(), means.end());
  return {Quantile(means, 0.025), Quantile(means, 0.975)};
}

}  // namespace

std::vector<std::optional<Estimate>> EstimateMeans(const std::vector<Column>& columns,
                                                   const BootstrapOptions& options) {
  std::vector<std::optional<Estimate>> estimates(columns.size());
  std::vector<size_t> used;  // columns that have a value
  for (size_t c = 0; c < columns.size(); ++c) {
    const double mean = MeanOf(columns[c]);
    if (std::isnan(mean)) continue;
    estimates[c] = Estimate{mean, {mean, mean}};
    used.push_back(c);
  }
  if (used.empty() || options.resamples < 1) return estimates;
  const size_t questions = columns[used[0]].size();
  std::vector<std::vector<double>> means(columns.size());
  std::vector<size_t> drawn(questions);
  CounterRandom random(options.seed);
  for (int resample = 0; resample < options.resamples; ++resample) {
    for (size_t& question : drawn) question = random.Below(questions);
    for (const size_t c : used) means[c].push_back(MeanOf(columns[c], drawn));
  }
  for (const size_t c : used) {
    const learning::Interval interval = IntervalOf(std::move(means[c]));
    if (!std::isnan(interval.low)) estimates[c]->interval = interval;
  }
  return estimates;
}

void EstimateTable::Add(Column column, std::optional<Estimate>& estimate) {
  columns_.push_back(std::move(column));
  estimates_.push_back(&estimate);
}

void EstimateTable::Fill(const BootstrapOptions& options) const {
  const std::vector<std::optional<Estimate>> found = EstimateMeans(columns_, options);
  for (size_t i = 0; i < found.size(); ++i) *estimates_[i] = found[i];
}

nlohmann::json ToJson(const std::optional<Estimate>& estimate) {
  if (!estimate) return nullptr;
  return {{"mean", estimate->mean}, {"low", estimate->interval.low}, {"high", estimate->interval.high}};
}

}  // namespace rein::evaluation
