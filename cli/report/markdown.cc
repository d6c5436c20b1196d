// report.md: declared in formats.h.
#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "cli/report/answer_cards.h"
#include "cli/report/escape.h"
#include "cli/report/fields.h"
#include "cli/report/formats.h"
#include "cli/report/markdown_table.h"
#include "cli/report/series.h"

namespace rein::report {
namespace {

constexpr size_t kSparkWidth = 40;

// A curve in one line of text.
std::string Spark(const std::vector<Point>& points) {
  constexpr const char* kBars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const std::vector<Point> thin = Thin(points, kSparkWidth);
  const auto less = [](const Point& a, const Point& b) { return a.y < b.y; };
  const auto [low, high] = std::minmax_element(thin.begin(), thin.end(), less);
  std::string text;
  for (const Point& point : thin) {
    const double share = high->y > low->y ? (point.y - low->y) / (high->y - low->y) : 0.5;
    text += kBars[static_cast<int>(std::lround(share * 7))];
  }
  return text;
}

std::vector<Point> MetricOf(const RunRecord& record, Path path) {
  std::vector<Point> points;
  for (const nlohmann::json& line : record.metrics) {
    if (const auto value = NumberAt(line, path))
      points.push_back({static_cast<double>(points.size()), *value});
  }
  return points;
}

std::string Curves(const RunRecord& record) {
  std::string rows;
  const auto add = [&](const std::string& name, const std::vector<Point>& points, Format format) {
    if (points.empty()) return;
    absl::StrAppend(&rows, MarkdownRow({name, FormatValue(points.front().y, format), Spark(points),
                                        FormatValue(points.back().y, format)}));
  };
  add("reward", MetricOf(record, {"reward_mean"}), Format::kNumber);
  add("violation rate", MetricOf(record, {"violation_rate"}), Format::kPercent);
  for (const std::string& name : record.constraint_names()) {
    add(absl::StrCat("cost (", name, ")"), MetricOf(record, {"constraints", name, "cost_mean"}),
        Format::kNumber);
    add(absl::StrCat("lambda (", name, ")"), MetricOf(record, {"constraints", name, "lambda"}),
        Format::kNumber);
  }
  add("KL", MetricOf(record, {"kl"}), Format::kNumber);
  add("response tokens", MetricOf(record, {"response_tokens"}), Format::kNumber);
  add("log-probability gap", MetricOf(record, {"logprob_gap"}), Format::kNumber);
  add("seconds a step", MetricOf(record, {"seconds", "total"}), Format::kNumber);
  return rows.empty() ? ""
                      : absl::StrCat("\n## Curves\n\n", MarkdownHead({"", "first", "course", "last"}), rows);
}

std::string SummaryPart(const Summary& summary) {
  if (summary.rows.empty()) return "";
  std::string text =
      absl::StrCat("\n## Start and result\n\n", MarkdownHead({"", summary.start_name, summary.final_name}));
  for (const SummaryRow& row : summary.rows)
    absl::StrAppend(&text, MarkdownRow({row.name, row.start, row.final}));
  return text;
}

std::string ConstraintPart(const Summary& summary) {
  if (summary.constraints.empty()) return "";
  std::string text = absl::StrCat(
      "\n## Constraints at the last step\n\n",
      MarkdownHead({"constraint", "signal", "threshold", "window mean", "lambda", "violation rate", "met"}));
  for (const ConstraintRow& row : summary.constraints)
    absl::StrAppend(
        &text, MarkdownRow({row.name, row.signal, row.threshold, row.window_mean, row.lambda, row.violations,
                            !row.met   ? "-"
                            : *row.met ? "yes"
                                       : "no"}));
  return text;
}

std::string CategoryPart(const Summary& summary) {
  if (summary.categories.empty()) return "";
  std::string text = absl::StrCat("\n## Categories\n\n",
                                  MarkdownHead({"category", "prompts", "reward, start", "reward, result",
                                                "violations, start", "violations, result"}));
  for (const CategoryRow& row : summary.categories)
    absl::StrAppend(&text, MarkdownRow({row.name, row.prompts, row.reward_start, row.reward_final,
                                        row.violations_start, row.violations_final}));
  return text;
}

std::string AnswerPart(const RunRecord& record, const Summary& summary) {
  std::string rows;
  const auto cell = [](const nlohmann::json* answer) {
    if (answer == nullptr) return std::string("-");
    return absl::StrCat(TextAt(*answer, {"answer"}), " (", VerdictText(*answer), ")");
  };
  for (const Comparison& comparison : ComparisonsOf(record)) {
    const nlohmann::json& some = comparison.either();
    absl::StrAppend(&rows, MarkdownRow({TextAt(some, {"question"}), TextAt(some, {"category"}),
                                        cell(comparison.start), cell(comparison.final)}));
  }
  if (rows.empty()) return "";
  return absl::StrCat("\n## Answers before and after\n\n",
                      MarkdownHead({"question", "category", summary.start_name, summary.final_name}), rows);
}

std::string List(const std::string& title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string text = absl::StrCat("\n## ", title, "\n\n");
  for (const std::string& line : lines) absl::StrAppend(&text, "- ", EscapeMarkdown(line), "\n");
  return text;
}

}  // namespace

std::string MarkdownReport(const RunRecord& record, const Summary& summary) {
  std::string text = absl::StrCat("# ", EscapeMarkdown(record.name()), "\n\n");
  if (record.synthetic()) absl::StrAppend(&text, "**Synthetic data (scenes)**\n\n");
  for (const auto& [name, value] : summary.facts)
    absl::StrAppend(&text, "- ", name, ": ", EscapeMarkdown(value), "\n");
  std::vector<std::string> events;
  for (const Event& event : summary.events)
    events.push_back(absl::StrCat("step ", event.step, ": ", event.text));
  return absl::StrCat(text, SummaryPart(summary), ConstraintPart(summary), Curves(record),
                      AnswerPart(record, summary), CategoryPart(summary), List("Events", events),
                      List("Missing or skipped", record.notes), "\nIntervals are 95 % (Wilson).\n");
}

}  // namespace rein::report
