// report.html: declared in formats.h.
#include "absl/strings/str_cat.h"
#include "cli/report/answer_cards.h"
#include "cli/report/escape.h"
#include "cli/report/formats.h"
#include "cli/report/page.h"

namespace rein::report {
namespace {

std::string SummaryTiles(const Summary& summary) {
  std::string html;
  for (const SummaryRow& row : summary.rows) {
    if (!row.important) continue;
    // Without the interval: the table has it.
    const std::string start = row.start.substr(0, row.start.find(" (")),
                      final = row.final.substr(0, row.final.find(" ("));
    html += Tile(row.name, final, absl::StrCat(summary.start_name, ": ", start));
  }
  return Tiles(html);
}

std::string SummaryTable(const Summary& summary) {
  std::string rows;
  for (const SummaryRow& row : summary.rows)
    absl::StrAppend(&rows,
                    BodyRow({EscapeMarkup(row.name), EscapeMarkup(row.start), EscapeMarkup(row.final)}));
  return Table(rows, {"", summary.start_name, summary.final_name});
}

std::string ConstraintTable(const Summary& summary) {
  std::string rows;
  for (const ConstraintRow& row : summary.constraints) {
    const std::string met = !row.met   ? "-"
                            : *row.met ? "<span class=\"met\">met</span>"
                                       : "<span class=\"unmet\">not met</span>";
    absl::StrAppend(&rows, BodyRow({EscapeMarkup(row.name), EscapeMarkup(row.signal),
                                    EscapeMarkup(row.threshold), EscapeMarkup(row.window_mean),
                                    EscapeMarkup(row.lambda), EscapeMarkup(row.violations), met}));
  }
  return Table(rows, {"constraint", "signal", "threshold", "window mean", "\xce\xbb", "violation rate",
                      "at the last step"});
}

std::string CategoryTable(const Summary& summary) {
  std::string rows;
  for (const CategoryRow& row : summary.categories)
    absl::StrAppend(&rows, BodyRow({EscapeMarkup(row.name), EscapeMarkup(row.prompts),
                                    EscapeMarkup(row.reward_start), EscapeMarkup(row.reward_final),
                                    EscapeMarkup(row.violations_start), EscapeMarkup(row.violations_final)}));
  return Table(
      rows, {"category", "prompts", absl::StrCat("reward, ", summary.start_name),
             absl::StrCat("reward, ", summary.final_name), absl::StrCat("violations, ", summary.start_name),
             absl::StrCat("violations, ", summary.final_name)});
}

std::string EventTable(const Summary& summary) {
  std::string rows;
  for (const Event& event : summary.events)
    absl::StrAppend(&rows, BodyRow({absl::StrCat(event.step), EscapeMarkup(event.text)}));
  return Table(rows, {"step", "event"}, "plain");
}

}  // namespace

std::string HtmlReport(const RunRecord& record, const Summary& summary, const std::vector<Chart>& figures) {
  const std::string body =
      absl::StrCat(SummaryTiles(summary), Section("Start and result", SummaryTable(summary)),
                   Section("Constraints", ConstraintTable(summary)), Section("Curves", Charts(figures)),
                   Section("Answers before and after", AnswerCards(record, summary)),
                   Section("Categories", CategoryTable(summary)), Section("Events", EventTable(summary)),
                   Section("Missing or skipped", Notes(record.notes)));
  return Page({record.name(), record.synthetic(), summary.facts}, body,
              "Written by rein report. Intervals are 95 % (Wilson).");
}

}  // namespace rein::report
