// The kinds of chart, each drawn in a file of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/report/chart.h"

namespace rein::report {

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void Cover(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

// CSS class of a series: "s" strokes, "f" fills.
inline std::string ColourClass(char kind, size_t index) {
  constexpr size_t kColours = 8;
  return absl::StrCat(std::string(1, kind), index % kColours);
}

// Empty where there is nothing to draw.
std::string Render(const LineChart& chart);
std::string Render(const StackedChart& chart);
std::string Render(const ShareChart& chart);
std::string Render(const IntervalChart& chart);

// Pixels of a chart of rows.
double RowsHeight(size_t rows);

}  // namespace rein::report
