// Small SVG charts over training steps. Everything is drawn here: no scripts, no fonts, nothing to load.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace rein::report {

// Pixels of every chart; those of rows are as high as their rows need (HeightOf).
inline constexpr double kChartWidth = 460;
inline constexpr double kChartHeight = 270;

enum class Format { kNumber, kPercent, kSeconds };

// "0.0213", "12.5 %", "3.2 s".
std::string FormatValue(double value, Format format);

struct Point {
  double x = 0;
  double y = 0;
};

struct BandPoint {
  double x = 0;
  double low = 0;
  double high = 0;
};

struct Series {
  std::string name;
  std::vector<Point> points;    // x rises
  std::vector<BandPoint> band;  // an interval around the line; may be empty
};

// A dashed horizontal line.
struct Level {
  std::string name;
  double y = 0;
};

struct ChartHead {
  std::string key;  // names the chart in code
  std::string title;
  std::string note;  // what is drawn, in a few words; may be empty
  Format format = Format::kNumber;
};

struct LineChart {
  ChartHead head;
  std::vector<Series> series;
  std::vector<Level> levels;
  std::optional<double> low, high;  // the y axis reaches at least from low to high
  bool dots = false;                // few points: mark each
  bool smooth = false;              // many points: draw their moving average over them
};

// Columns on top of each other.
struct StackedChart {
  struct Column {
    double x = 0;
    std::vector<double> values;  // one a name, >= 0
  };
  ChartHead head;
  std::vector<std::string> names;
  std::vector<Column> columns;  // x rises
};

// Shares of a whole side by side, one bar a row, from top to bottom.
struct ShareChart {
  struct Row {
    std::string name;
    std::vector<double> values;  // one a name, >= 0; drawn as shares of their sum
  };
  ChartHead head;
  std::vector<std::string> names;
  std::vector<Row> rows;
};

// A value and its interval in every row, from top to bottom.
struct IntervalChart {
  struct Row {
    std::string name;
    double value = 0, low = 0, high = 0;
  };
  ChartHead head;
  std::vector<Row> rows;
  double low = 0, high = 1;    // ends of the axis
  std::optional<Level> level;  // a dashed vertical line
};

using Chart = std::variant<LineChart, StackedChart, ShareChart, IntervalChart>;

const ChartHead& HeadOf(const Chart& chart);
double HeightOf(const Chart& chart);

// The chart as the content of an <svg> or <g> of kChartWidth x HeightOf(chart); classes are those of
// ChartStyle(). Points are listed in tooltips.
std::string RenderChart(const Chart& chart);

// CSS for charts, in light and dark.
std::string ChartStyle();

}  // namespace rein::report
