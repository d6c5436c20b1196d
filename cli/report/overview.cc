// report.svg: declared in figures.h.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/escape.h"
#include "cli/report/figures.h"

namespace rein::report {
namespace {

constexpr size_t kShown = 6, kColumns = 3;
constexpr double kGap = 14, kHeading = 44;

// Charts by how much they tell, those of this list first.
std::vector<const Chart*> MostTelling(const std::vector<Chart>& figures) {
  std::vector<const Chart*> chosen;
  for (const char* key :
       {"truth helpfulness", "truth safety", "reward", "violations", "lambda", "kinds", "kl"}) {
    for (const Chart& chart : figures) {
      if (HeadOf(chart).key == key && chosen.size() < kShown) chosen.push_back(&chart);
    }
  }
  for (const Chart& chart : figures) {
    if (chosen.size() < kShown && std::find(chosen.begin(), chosen.end(), &chart) == chosen.end())
      chosen.push_back(&chart);
  }
  return chosen;
}

}  // namespace

std::string OverviewSvg(const RunRecord& record, const std::vector<Chart>& figures) {
  const std::vector<const Chart*> chosen = MostTelling(figures);
  const size_t columns = std::clamp<size_t>(chosen.size(), 1, kColumns);
  const size_t rows = (chosen.size() + columns - 1) / columns;
  const double width = static_cast<double>(columns) * (kChartWidth + kGap) + kGap;
  const double height = static_cast<double>(rows) * (kChartHeight + kGap) + kHeading + kGap;
  const std::string title =
      absl::StrCat(record.name(), record.synthetic() ? "  \xc2\xb7  Synthetic data (scenes)" : "");
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" height=\"%g\" "
      "role=\"img\" aria-label=\"%s\">\n<style>%s.panel { fill: var(--card); stroke: var(--line); "
      "}\n</style>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"var(--page)\"/>\n"
      "<text class=\"title\" x=\"%g\" y=\"30\">%s</text>\n",
      width, height, width, height, EscapeMarkup(title), ChartStyle(), kGap + 14, EscapeMarkup(title));
  for (size_t i = 0; i < chosen.size(); ++i) {
    const double x = kGap + static_cast<double>(i % columns) * (kChartWidth + kGap);
    const double y = kHeading + static_cast<double>(i / columns) * (kChartHeight + kGap);
    absl::StrAppendFormat(
        &svg,
        "<g transform=\"translate(%g %g)\"><rect class=\"panel\" width=\"%g\" height=\"%g\" "
        "rx=\"8\"/>\n%s</g>\n",
        x, y, kChartWidth, kChartHeight, RenderChart(*chosen[i]));
  }
  return svg + "</svg>\n";
}

}  // namespace rein::report
