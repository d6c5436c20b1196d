// What all charts have: title, legend, axes, and the map from values to pixels.
#pragma once

#include <string>
#include <vector>

#include "cli/report/chart.h"

namespace rein::report {

struct LegendEntry {
  std::string name;
  std::string colour_class;  // "s0".. for lines, "f0".. for areas, "level"
};

// Title, note and legend of any chart.
std::string ChartTop(const ChartHead& head, const std::vector<LegendEntry>& legend);

class PlotFrame {
 public:
  // Axes that cover the ranges; those of y are widened to round numbers.
  PlotFrame(const ChartHead& head, double x_low, double x_high, double y_low, double y_high);

  double X(double x) const;
  double Y(double y) const;
  double left() const;
  double right() const;
  double top() const;
  double bottom() const;

  // Title, note, legend, axes with their labels and grid lines.
  std::string Furniture(const std::vector<LegendEntry>& legend) const;

  // Invisible strips around every x, whose tooltip is the text of the same index.
  std::string Tooltips(const std::vector<double>& xs, const std::vector<std::string>& texts) const;

 private:
  std::string Axes() const;

  const ChartHead head_;
  double x_low_, x_high_;
  std::vector<double> y_ticks_;
};

}  // namespace rein::report
