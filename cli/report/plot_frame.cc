#include "cli/report/plot_frame.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/escape.h"
#include "cli/report/series.h"

namespace rein::report {
namespace {

constexpr double kLeft = 54, kRight = 16, kTop = 76, kBottom = 40;
constexpr double kIndent = 14, kFirstRow = 51, kRow = 14;
constexpr int kYTicks = 4, kXTicks = 5;
// Estimated, as there is no font to measure: 11 px system font.
constexpr double kLetterWidth = 5.9, kSwatch = 18, kLegendGap = 14;

double LetterCount(const std::string& text) {
  return static_cast<double>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string Legend(const ChartHead& head, const std::vector<LegendEntry>& legend) {
  std::string svg;
  double x = kIndent, y = head.note.empty() ? kFirstRow - kRow : kFirstRow;
  for (const LegendEntry& entry : legend) {
    const double width = kSwatch + LetterCount(entry.name) * kLetterWidth;
    if (x > kIndent && x + width > kChartWidth - kRight) {
      x = kIndent;
      y += kRow;
    }
    absl::StrAppendFormat(&svg,
                          "<line class=\"swatch %s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>"
                          "<text class=\"note\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                          entry.colour_class, x, y - 4, x + 13, y - 4, x + kSwatch, y,
                          EscapeMarkup(entry.name));
    x += width + kLegendGap;
  }
  return svg;
}

}  // namespace

std::string ChartTop(const ChartHead& head, const std::vector<LegendEntry>& legend) {
  std::string svg = absl::StrFormat("<text class=\"title\" x=\"%g\" y=\"20\">%s</text>\n", kIndent,
                                    EscapeMarkup(head.title));
  if (!head.note.empty()) {
    absl::StrAppendFormat(&svg, "<text class=\"note\" x=\"%g\" y=\"36\">%s</text>\n", kIndent,
                          EscapeMarkup(head.note));
  }
  return absl::StrCat(svg, Legend(head, legend));
}

PlotFrame::PlotFrame(const ChartHead& head, double x_low, double x_high, double y_low, double y_high)
    : head_(head), x_low_(x_low), x_high_(x_high), y_ticks_(Ticks(y_low, y_high, kYTicks)) {
  if (!(x_high_ > x_low_)) {
    x_low_ -= 0.5;
    x_high_ += 0.5;
  }
}

double PlotFrame::left() const { return kLeft; }
double PlotFrame::right() const { return kChartWidth - kRight; }
double PlotFrame::top() const { return kTop; }
double PlotFrame::bottom() const { return kChartHeight - kBottom; }

double PlotFrame::X(double x) const {
  return left() + (x - x_low_) / (x_high_ - x_low_) * (right() - left());
}

double PlotFrame::Y(double y) const {
  const double low = y_ticks_.front(), high = y_ticks_.back();
  return bottom() - (y - low) / (high - low) * (bottom() - top());
}

std::string PlotFrame::Furniture(const std::vector<LegendEntry>& legend) const {
  return absl::StrCat(ChartTop(head_, legend), Axes());
}

std::string PlotFrame::Axes() const {
  std::string svg;
  for (const double tick : y_ticks_) {
    absl::StrAppendFormat(&svg,
                          "<line class=\"grid\" x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\"/>"
                          "<text class=\"tick\" x=\"%g\" y=\"%.1f\" text-anchor=\"end\">%s</text>\n",
                          left(), right(), Y(tick), Y(tick), left() - 7, Y(tick) + 3.5,
                          FormatValue(tick, head_.format));
  }
  for (const double tick : Ticks(x_low_, x_high_, kXTicks)) {
    if (tick < x_low_ || tick > x_high_ || tick != std::floor(tick)) continue;
    absl::StrAppendFormat(&svg, "<text class=\"tick\" x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">%g</text>\n",
                          X(tick), bottom() + 16, tick);
  }
  absl::StrAppendFormat(&svg, "<text class=\"tick\" x=\"%g\" y=\"%g\" text-anchor=\"end\">step</text>\n",
                        right(), bottom() + 30);
  return svg;
}

std::string PlotFrame::Tooltips(const std::vector<double>& xs, const std::vector<std::string>& texts) const {
  std::string svg;
  for (size_t i = 0; i < xs.size(); ++i) {
    const double from = i == 0 ? left() : (X(xs[i - 1]) + X(xs[i])) / 2;
    const double to = i + 1 == xs.size() ? right() : (X(xs[i]) + X(xs[i + 1])) / 2;
    absl::StrAppendFormat(
        &svg,
        "<rect class=\"strip\" x=\"%.1f\" y=\"%g\" width=\"%.1f\" height=\"%g\"><title>%s</title></rect>\n",
        from, top(), std::max(0.0, to - from), bottom() - top(), EscapeMarkup(texts[i]));
  }
  return svg;
}

}  // namespace rein::report
