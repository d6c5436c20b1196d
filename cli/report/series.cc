#include "cli/report/series.h"

#include <algorithm>
#include <cmath>

namespace rein::report {
namespace {

constexpr size_t kSmallestWindow = 5;

// Sums `items` in buckets of equal size and divides by the size.
template <typename Item, typename Add, typename Scale>
std::vector<Item> MeansOf(const std::vector<Item>& items, size_t most, Add add, Scale scale) {
  if (items.size() <= most) return items;
  const size_t size = (items.size() + most - 1) / most;
  std::vector<Item> means;
  for (size_t begin = 0; begin < items.size(); begin += size) {
    const size_t end = std::min(items.size(), begin + size);
    Item sum = items[begin];
    for (size_t i = begin + 1; i < end; ++i) add(sum, items[i]);
    scale(sum, 1.0 / static_cast<double>(end - begin));
    means.push_back(std::move(sum));
  }
  return means;
}

// The smallest of 1, 2 and 5 times a power of ten that is at least `step`.
double RoundStep(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (step <= factor * power * (1 + 1e-9)) return factor * power;
  }
  return 10 * power;
}

}  // namespace

std::vector<Point> Thin(const std::vector<Point>& points, size_t most) {
  return MeansOf(
      points, most, [](Point& sum, const Point& p) { sum.x += p.x, sum.y += p.y; },
      [](Point& sum, double s) { sum.x *= s, sum.y *= s; });
}

std::vector<BandPoint> Thin(const std::vector<BandPoint>& points, size_t most) {
  return MeansOf(
      points, most,
      [](BandPoint& sum, const BandPoint& p) { sum.x += p.x, sum.low += p.low, sum.high += p.high; },
      [](BandPoint& sum, double s) { sum.x *= s, sum.low *= s, sum.high *= s; });
}

std::vector<StackedChart::Column> Thin(const std::vector<StackedChart::Column>& columns, size_t most) {
  using Column = StackedChart::Column;
  return MeansOf(
      columns, most,
      [](Column& sum, const Column& column) {
        sum.x += column.x;
        for (size_t i = 0; i < sum.values.size(); ++i) sum.values[i] += column.values[i];
      },
      [](Column& sum, double s) {
        sum.x *= s;
        for (double& value : sum.values) value *= s;
      });
}

std::vector<Point> Smooth(const std::vector<Point>& points) {
  const size_t half = std::max(kSmallestWindow, points.size() / 20) / 2;
  std::vector<Point> smooth;
  for (size_t i = 0; i < points.size(); ++i) {
    const size_t first = i - std::min(half, i), last = std::min(points.size() - 1, i + half);
    double sum = 0;
    for (size_t j = first; j <= last; ++j) sum += points[j].y;
    smooth.push_back({points[i].x, sum / static_cast<double>(last - first + 1)});
  }
  return smooth;
}

std::vector<double> Ticks(double low, double high, int count) {
  if (!(high > low)) high = low + 1;
  const double step = RoundStep((high - low) / count);
  std::vector<double> ticks;
  const double first = std::floor(low / step + 1e-9), last = std::ceil(high / step - 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

}  // namespace rein::report
