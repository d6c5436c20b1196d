#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/plot_frame.h"
#include "cli/report/render.h"
#include "cli/report/series.h"

namespace rein::report {
namespace {

using Columns = std::vector<StackedChart::Column>;

constexpr size_t kMostColumns = 150;
// Few columns stay slim.
constexpr double kWidestColumn = 40;

std::string TooltipOf(const StackedChart& chart, const StackedChart::Column& column) {
  std::string text = absl::StrFormat("step %g", std::round(column.x));
  for (size_t i = 0; i < chart.names.size(); ++i) {
    absl::StrAppend(&text, "\n", chart.names[i], ": ", FormatValue(column.values[i], chart.head.format));
  }
  return text;
}

// Between two columns.
double Spacing(const Columns& columns) {
  if (columns.size() < 2) return 1;
  return (columns.back().x - columns.front().x) / static_cast<double>(columns.size() - 1);
}

PlotFrame FrameOf(const StackedChart& chart, const Columns& columns) {
  Range y;
  y.Cover(0);
  for (const StackedChart::Column& column : columns) {
    double sum = 0;
    for (const double value : column.values) sum += value;
    y.Cover(sum);
  }
  const double half = Spacing(columns) / 2;
  return PlotFrame(chart.head, columns.front().x - half, columns.back().x + half, y.low, y.high);
}

// All boxes of one name, as one path.
std::string Boxes(const PlotFrame& frame, const Columns& columns, size_t index) {
  const double spacing = frame.X(Spacing(columns)) - frame.X(0);
  const double width = std::min(kWidestColumn, spacing * 0.9);
  std::string path;
  for (const StackedChart::Column& column : columns) {
    if (!(column.values[index] > 0)) continue;
    double below = 0;
    for (size_t i = 0; i < index; ++i) below += column.values[i];
    absl::StrAppendFormat(&path, "M%.2f %.2fh%.2fV%.2fh%.2fZ", frame.X(column.x) - width / 2, frame.Y(below),
                          width, frame.Y(below + column.values[index]), -width);
  }
  return path;
}

}  // namespace

std::string Render(const StackedChart& chart) {
  const Columns columns = Thin(chart.columns, kMostColumns);
  if (columns.empty()) return "";
  const PlotFrame frame = FrameOf(chart, columns);
  std::vector<LegendEntry> legend;
  std::string marks;
  for (size_t i = 0; i < chart.names.size(); ++i) {
    absl::StrAppendFormat(&marks, "<path class=\"%s\" d=\"%s\"/>\n", ColourClass('f', i),
                          Boxes(frame, columns, i));
    legend.push_back({chart.names[i], ColourClass('s', i)});
  }
  std::vector<double> xs;
  std::vector<std::string> texts;
  for (const StackedChart::Column& column : columns) {
    xs.push_back(column.x);
    texts.push_back(TooltipOf(chart, column));
  }
  return absl::StrCat(frame.Furniture(legend), marks, frame.Tooltips(xs, texts));
}

}  // namespace rein::report
