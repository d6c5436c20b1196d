#include "cli/report/chart.h"

#include <cmath>

#include "absl/strings/str_format.h"
#include "cli/report/render.h"

namespace rein::report {

std::string FormatValue(double value, Format format) {
  if (format == Format::kPercent) {
    const double percent = 100 * value;
    const int digits = std::abs(percent - std::round(percent)) < 1e-9 ? 0 : 1;
    return absl::StrFormat("%.*f %%", digits, percent);
  }
  const char* unit = format == Format::kSeconds ? " s" : "";
  if (std::abs(value) >= 1000) return absl::StrFormat("%.0f%s", value, unit);
  // A rounding error of the axis is 0.
  return absl::StrFormat("%.3g%s", std::abs(value) < 1e-12 ? 0.0 : value, unit);
}

const ChartHead& HeadOf(const Chart& chart) {
  return std::visit([](const auto& kind) -> const ChartHead& { return kind.head; }, chart);
}

double HeightOf(const Chart& chart) {
  if (const auto* shares = std::get_if<ShareChart>(&chart)) return RowsHeight(shares->rows.size());
  if (const auto* intervals = std::get_if<IntervalChart>(&chart)) return RowsHeight(intervals->rows.size());
  return kChartHeight;
}

std::string RenderChart(const Chart& chart) {
  return std::visit([](const auto& kind) { return Render(kind); }, chart);
}

std::string ChartStyle() {
  return R"(
:root { --ink: #1c2733; --soft: #5d6b7a; --line: #e3e8ee; --page: #f5f7fa; --card: #ffffff; --level: #8a2b3c;
  --c0: #2563c9; --c1: #d9761a; --c2: #16866b; --c3: #8d4fc4; --c4: #c93a5e; --c5: #6b7a8c; --c6: #1192a8; --c7: #a17d0d; }
@media (prefers-color-scheme: dark) {
:root { --ink: #e6ebf1; --soft: #9aa8b7; --line: #2d3846; --page: #10161d; --card: #18212b; --level: #f08a9b;
  --c0: #6ea3f7; --c1: #f2a154; --c2: #4cc3a0; --c3: #bd91ee; --c4: #f0789a; --c5: #9fb0c2; --c6: #55c3d6; --c7: #d8b84a; } }
.title { font: 600 14px system-ui, sans-serif; fill: var(--ink); }
.note { font: 11px system-ui, sans-serif; fill: var(--soft); }
.tick { font: 10.5px system-ui, sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); stroke-width: 1; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.whisker { stroke-width: 2; stroke-opacity: 0.55; }
.faint { stroke-width: 1; stroke-opacity: 0.35; }
.band { fill-opacity: 0.16; }
.level { stroke: var(--level); stroke-width: 1.5; stroke-dasharray: 5 4; }
.swatch { stroke-width: 3.5; }
.swatch.level { stroke-width: 2; }
.strip { fill: var(--ink); fill-opacity: 0; }
.strip:hover { fill-opacity: 0.07; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); } .s3 { stroke: var(--c3); }
.s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); } .s6 { stroke: var(--c6); } .s7 { stroke: var(--c7); }
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
.f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); } .f7 { fill: var(--c7); }
)";
}

}  // namespace rein::report
