// Intervals of means by the paired bootstrap (Efron; percentile method).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "learning/advantage.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {

struct BootstrapOptions {
  int resamples = 10'000;
  uint64_t seed = 1;
};

struct Estimate {
  double mean = 0;
  learning::Interval interval;  // 95 %
};

// What is known of every question: one value each, NaN where there is none.
using Column = std::vector<double>;

// The mean of each column over the questions that have a value, with the 2.5 and 97.5 % quantiles (linear
// between the order statistics) of the means of resamples: as many questions, drawn with replacement, the
// same ones for all columns. Columns have equal length; one without any value gives nullopt. Equal values,
// seed and resamples give equal bits.
std::vector<std::optional<Estimate>> EstimateMeans(const std::vector<Column>& columns,
                                                   const BootstrapOptions& options);

// Columns that are estimated together, each with the place of its estimate.
class EstimateTable {
 public:
  // `estimate` outlives the table.
  void Add(Column column, std::optional<Estimate>& estimate);
  // EstimateMeans of all columns so far.
  void Fill(const BootstrapOptions& options) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::optional<Estimate>*> estimates_;
};

// {"mean", "low", "high"}, or null.
nlohmann::json ToJson(const std::optional<Estimate>& estimate);

}  // namespace rein::evaluation
