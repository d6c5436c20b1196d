// Series of points made ready to be drawn.
#pragma once

#include <cstddef>
#include <vector>

#include "cli/report/chart.h"

namespace rein::report {

// Means of neighbours, so that at most `most` points are left.
std::vector<Point> Thin(const std::vector<Point>& points, size_t most);
std::vector<BandPoint> Thin(const std::vector<BandPoint>& points, size_t most);
std::vector<StackedChart::Column> Thin(const std::vector<StackedChart::Column>& columns, size_t most);

// Centred moving average over about a twentieth of the points; at the ends over those that are there.
std::vector<Point> Smooth(const std::vector<Point>& points);

// About `count` round numbers that cover low to high.
std::vector<double> Ticks(double low, double high, int count);

}  // namespace rein::report
