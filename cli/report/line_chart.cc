#include <algorithm>
#include <cmath>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/plot_frame.h"
#include "cli/report/render.h"
#include "cli/report/series.h"

namespace rein::report {
namespace {

// More points than this cannot be told apart.
constexpr size_t kMostPoints = 300;
// Fewer points need no average.
constexpr size_t kSmoothFrom = 30;

std::string LinePath(const PlotFrame& frame, const std::vector<Point>& points) {
  std::string path;
  for (const Point& point : points)
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", frame.X(point.x), frame.Y(point.y));
  return path;
}

std::string BandPath(const PlotFrame& frame, const std::vector<BandPoint>& band) {
  std::string path;
  for (const BandPoint& point : band)
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", frame.X(point.x),
                          frame.Y(point.high));
  for (auto point = band.rbegin(); point != band.rend(); ++point)
    absl::StrAppendFormat(&path, "L%.1f %.1f", frame.X(point->x), frame.Y(point->low));
  return path + "Z";
}

std::string SeriesMarks(const PlotFrame& frame, const LineChart& chart, size_t index) {
  const Series& series = chart.series[index];
  const std::string stroke = ColourClass('s', index), fill = ColourClass('f', index);
  const std::vector<Point> points = Thin(series.points, kMostPoints);
  std::string svg;
  if (series.band.size() > 1) {
    absl::StrAppendFormat(&svg, "<path class=\"band %s\" d=\"%s\"/>\n", fill,
                          BandPath(frame, Thin(series.band, kMostPoints)));
  }
  const bool smooth = chart.smooth && points.size() >= kSmoothFrom;
  absl::StrAppendFormat(&svg, "<path class=\"line%s %s\" d=\"%s\"/>\n", smooth ? " faint" : "", stroke,
                        LinePath(frame, points));
  if (smooth)
    absl::StrAppendFormat(&svg, "<path class=\"line %s\" d=\"%s\"/>\n", stroke,
                          LinePath(frame, Smooth(points)));
  if (chart.dots || points.size() == 1) {
    for (const Point& point : points)
      absl::StrAppendFormat(&svg, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>\n", fill,
                            frame.X(point.x), frame.Y(point.y));
  }
  return svg;
}

// One text for every x that any series has.
std::map<double, std::string> TooltipTexts(const LineChart& chart) {
  std::map<double, std::string> texts;
  for (const Series& series : chart.series) {
    std::map<double, BandPoint> bands;
    for (const BandPoint& point : Thin(series.band, kMostPoints)) bands[point.x] = point;
    for (const Point& point : Thin(series.points, kMostPoints)) {
      std::string& text =
          texts.try_emplace(point.x, absl::StrFormat("step %g", std::round(point.x))).first->second;
      absl::StrAppend(&text, "\n", series.name, ": ", FormatValue(point.y, chart.head.format));
      if (const auto band = bands.find(point.x); band != bands.end())
        absl::StrAppend(&text, " (", FormatValue(band->second.low, chart.head.format), " to ",
                        FormatValue(band->second.high, chart.head.format), ")");
    }
  }
  return texts;
}

void CoverSeries(const Series& series, Range& x, Range& y) {
  for (const Point& point : series.points) {
    x.Cover(point.x);
    y.Cover(point.y);
  }
  for (const BandPoint& point : series.band) {
    y.Cover(point.low);
    y.Cover(point.high);
  }
}

}  // namespace

std::string Render(const LineChart& chart) {
  Range x, y;
  for (const Series& series : chart.series) CoverSeries(series, x, y);
  for (const Level& level : chart.levels) y.Cover(level.y);
  if (chart.low) y.Cover(*chart.low);
  if (chart.high) y.Cover(*chart.high);
  if (x.empty() || y.empty()) return "";
  const PlotFrame frame(chart.head, x.low, x.high, y.low, y.high);
  std::vector<LegendEntry> legend;
  std::string marks;
  for (const Level& level : chart.levels) {
    absl::StrAppendFormat(&marks, "<line class=\"level\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
                          frame.left(), frame.right(), frame.Y(level.y), frame.Y(level.y));
  }
  for (size_t i = 0; i < chart.series.size(); ++i) {
    absl::StrAppend(&marks, SeriesMarks(frame, chart, i));
    legend.push_back({chart.series[i].name, ColourClass('s', i)});
  }
  // One line is named by the title.
  if (chart.series.size() == 1 && chart.levels.empty()) legend.clear();
  for (const Level& level : chart.levels)
    legend.push_back({absl::StrCat(level.name, " ", FormatValue(level.y, chart.head.format)), "level"});
  std::vector<double> xs;
  std::vector<std::string> texts;
  for (const auto& [at, text] : TooltipTexts(chart)) {
    xs.push_back(at);
    texts.push_back(text);
  }
  return absl::StrCat(frame.Furniture(legend), marks, frame.Tooltips(xs, texts));
}

}  // namespace rein::report
