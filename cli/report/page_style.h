// CSS of the page; colours are those of ChartStyle().
#pragma once

namespace rein::report {

inline constexpr char kPageStyle[] = R"(
* { box-sizing: border-box; }
html { color-scheme: light dark; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1480px; margin: 0 auto; padding: 28px 24px 56px; }
h1 { font-size: 26px; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 36px 0 12px; }
header { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
.badge { border: 1px solid var(--c1); color: var(--c1); border-radius: 999px; padding: 2px 12px; font-size: 13px;
  font-weight: 600; }
.facts { color: var(--soft); margin: 8px 0 0; padding: 0; list-style: none; display: flex; flex-wrap: wrap; gap: 2px 22px; }
.facts b { color: var(--ink); font-weight: 600; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(230px, 1fr)); gap: 14px; margin-top: 22px; }
.tile, figure, .card, .table { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 18px; }
.tile span { color: var(--soft); font-size: 13px; display: block; }
.tile strong { font-size: 25px; font-weight: 650; font-variant-numeric: tabular-nums; display: block; line-height: 1.35; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 14px; }
figure { margin: 0; padding: 4px; }
figure svg { display: block; width: 100%; height: auto; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 8px 16px; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--soft); font-size: 13px; font-weight: 600; }
tbody th { font-weight: 400; }
td:last-child { font-weight: 600; }
.plain td:last-child { font-weight: 400; }
.answers { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); gap: 14px; }
.card { display: flex; gap: 14px; padding: 14px; }
.card img, .card .none { width: 84px; height: 84px; object-fit: contain; flex: none; border-radius: 6px;
  border: 1px solid var(--line); }
.small img { image-rendering: pixelated; }
.card .none { display: grid; place-items: center; color: var(--soft); font-size: 12px; text-align: center; }
.card > div { min-width: 0; flex: 1; overflow-wrap: anywhere; }
.question { font-weight: 600; }
.tag { color: var(--soft); font-size: 12.5px; }
.answer { margin-top: 8px; padding-left: 10px; border-left: 3px solid var(--line); }
.answer small { color: var(--soft); display: block; font-size: 12.5px; }
.answer.good { border-color: var(--c2); }
.answer.bad { border-color: var(--c4); }
.met { color: var(--c2); font-weight: 600; } .unmet { color: var(--c4); font-weight: 600; }
.notes { color: var(--soft); }
footer { color: var(--soft); margin-top: 40px; font-size: 13px; }
)";

}  // namespace rein::report
