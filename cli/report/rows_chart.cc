// Charts with one row a name: shares of a whole, and values with their intervals.
#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/escape.h"
#include "cli/report/plot_frame.h"
#include "cli/report/render.h"
#include "cli/report/series.h"

namespace rein::report {
namespace {

constexpr double kLeft = 205, kRight = 22, kTop = 68, kBottom = 28, kRowHeight = 22, kBarHeight = 13;
constexpr int kTicks = 4;

// Where rows and values are.
class RowFrame {
 public:
  RowFrame(double low, double high, size_t rows) : ticks_(Ticks(low, high, kTicks)), rows_(rows) {}

  double X(double value) const {
    const double share = (value - ticks_.front()) / (ticks_.back() - ticks_.front());
    return kLeft + std::clamp(share, 0.0, 1.0) * (kChartWidth - kRight - kLeft);
  }
  double bottom() const { return kTop + kRowHeight * static_cast<double>(rows_); }
  // The middle of a row.
  static double Y(size_t row) { return kTop + kRowHeight * (static_cast<double>(row) + 0.5); }

  std::string Axis(Format format) const {
    std::string svg;
    for (const double tick : ticks_) {
      absl::StrAppendFormat(&svg,
                            "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>"
                            "<text class=\"tick\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%s</text>\n",
                            X(tick), X(tick), kTop, bottom(), X(tick), bottom() + 15,
                            FormatValue(tick, format));
    }
    return svg;
  }

  static std::string Name(size_t row, const std::string& name) {
    return absl::StrFormat("<text class=\"tick\" x=\"%g\" y=\"%g\" text-anchor=\"end\">%s</text>\n",
                           kLeft - 8, Y(row) + 3.5, EscapeMarkup(name));
  }

  static std::string Tooltip(size_t row, const std::string& text) {
    return absl::StrFormat(
        "<rect class=\"strip\" x=\"0\" y=\"%g\" width=\"%g\" height=\"%g\"><title>%s</title></rect>\n",
        Y(row) - kRowHeight / 2, kChartWidth, kRowHeight, EscapeMarkup(text));
  }

 private:
  const std::vector<double> ticks_;
  const size_t rows_;
};

// The bar of one row; nothing where all its values are 0.
std::string Bar(const RowFrame& frame, size_t row, const std::vector<double>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  std::string svg;
  double begin = 0;
  for (size_t i = 0; i < values.size() && sum > 0; ++i) {
    const double end = begin + values[i] / sum;
    absl::StrAppendFormat(&svg, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%g\"/>\n",
                          ColourClass('f', i), frame.X(begin), RowFrame::Y(row) - kBarHeight / 2,
                          frame.X(end) - frame.X(begin), kBarHeight);
    begin = end;
  }
  return svg;
}

}  // namespace

double RowsHeight(size_t rows) { return kTop + kRowHeight * static_cast<double>(rows) + kBottom; }

std::string Render(const ShareChart& chart) {
  if (chart.rows.empty()) return "";
  const RowFrame frame(0, 1, chart.rows.size());
  std::vector<LegendEntry> legend;
  for (size_t i = 0; i < chart.names.size(); ++i) legend.push_back({chart.names[i], ColourClass('s', i)});
  std::string svg = absl::StrCat(ChartTop(chart.head, legend), frame.Axis(Format::kPercent));
  for (size_t i = 0; i < chart.rows.size(); ++i) {
    const ShareChart::Row& row = chart.rows[i];
    std::string tooltip = row.name;
    for (size_t k = 0; k < chart.names.size(); ++k)
      absl::StrAppend(&tooltip, "\n", chart.names[k], ": ", FormatValue(row.values[k], chart.head.format));
    absl::StrAppend(&svg, RowFrame::Name(i, row.name), Bar(frame, i, row.values),
                    RowFrame::Tooltip(i, tooltip));
  }
  return svg;
}

std::string Render(const IntervalChart& chart) {
  if (chart.rows.empty()) return "";
  const RowFrame frame(chart.low, chart.high, chart.rows.size());
  std::vector<LegendEntry> legend;
  std::string svg = frame.Axis(chart.head.format);
  if (chart.level) {
    legend.push_back({chart.level->name, "level"});
    const double x = frame.X(chart.level->y);
    absl::StrAppendFormat(&svg, "<line class=\"level\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\"/>\n", x, x,
                          kTop, frame.bottom());
  }
  for (size_t i = 0; i < chart.rows.size(); ++i) {
    const IntervalChart::Row& row = chart.rows[i];
    const double y = RowFrame::Y(i);
    absl::StrAppendFormat(&svg,
                          "<line class=\"whisker s0\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>"
                          "<circle class=\"f0\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\"/>\n",
                          frame.X(row.low), frame.X(row.high), y, y, frame.X(row.value), y);
    absl::StrAppend(
        &svg, RowFrame::Name(i, row.name),
        RowFrame::Tooltip(i, absl::StrCat(row.name, "\n", FormatValue(row.value, chart.head.format), " (",
                                          FormatValue(row.low, chart.head.format), " to ",
                                          FormatValue(row.high, chart.head.format), ")")));
  }
  return absl::StrCat(ChartTop(chart.head, legend), svg);
}

}  // namespace rein::report
