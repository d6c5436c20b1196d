// report.html: declared in formats.h.
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/report/answer_cards.h"
#include "cli/report/escape.h"
#include "cli/report/formats.h"
#include "cli/report/page_style.h"

namespace rein::report {
namespace {

constexpr char kSyntheticLabel[] = "Synthetic data (scenes)";

std::string Header(const RunRecord& record, const Summary& summary) {
  std::string html = absl::StrCat("<header><h1>", EscapeMarkup(record.name()), "</h1>");
  if (record.synthetic()) absl::StrAppend(&html, "<span class=\"badge\">", kSyntheticLabel, "</span>");
  absl::StrAppend(&html, "</header>\n<ul class=\"facts\">\n");
  for (const auto& [name, value] : summary.facts)
    absl::StrAppend(&html, "<li>", EscapeMarkup(name), " <b>", EscapeMarkup(value), "</b></li>\n");
  return html + "</ul>\n";
}

std::string Tiles(const Summary& summary) {
  std::string html;
  for (const SummaryRow& row : summary.rows) {
    if (!row.important) continue;
    // Without the interval: the table has it.
    const std::string start = row.start.substr(0, row.start.find(" (")),
                      final = row.final.substr(0, row.final.find(" ("));
    absl::StrAppend(&html, "<div class=\"tile\"><span>", EscapeMarkup(row.name), "</span><strong>",
                    EscapeMarkup(final), "</strong><span>", EscapeMarkup(summary.start_name), ": ",
                    EscapeMarkup(start), "</span></div>\n");
  }
  return html.empty() ? "" : absl::StrCat("<div class=\"tiles\">\n", html, "</div>\n");
}

std::string HeadRow(const std::vector<std::string>& names) {
  std::string html = "<thead><tr>";
  for (const std::string& name : names)
    absl::StrAppend(&html, "<th scope=\"col\">", EscapeMarkup(name), "</th>");
  return html + "</tr></thead>\n<tbody>\n";
}

// Cells are HTML already; the first one heads the row.
std::string BodyRow(const std::vector<std::string>& cells) {
  std::string html = absl::StrCat("<tr><th scope=\"row\">", cells[0], "</th>");
  for (size_t i = 1; i < cells.size(); ++i) absl::StrAppend(&html, "<td>", cells[i], "</td>");
  return html + "</tr>\n";
}

std::string Section(const std::string& title, const std::string& body) {
  return body.empty() ? "" : absl::StrCat("<section>\n<h2>", title, "</h2>\n", body, "</section>\n");
}

std::string Table(const std::string& rows, const std::vector<std::string>& head, const char* kind = "") {
  if (rows.empty()) return "";
  return absl::StrCat("<div class=\"table ", kind, "\"><table>\n", HeadRow(head), rows,
                      "</tbody></table></div>\n");
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

std::string Charts(const std::vector<Chart>& figures) {
  std::string html;
  for (const Chart& chart : figures) {
    absl::StrAppendFormat(
        &html, "<figure><svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"%s\">\n%s</svg></figure>\n",
        kChartWidth, kChartHeight, EscapeMarkup(HeadOf(chart).title), RenderChart(chart));
  }
  return html.empty() ? "" : absl::StrCat("<div class=\"charts\">\n", html, "</div>\n");
}

std::string Notes(const RunRecord& record) {
  std::string html;
  for (const std::string& note : record.notes) absl::StrAppend(&html, "<li>", EscapeMarkup(note), "</li>\n");
  return html.empty() ? "" : absl::StrCat("<ul class=\"notes\">\n", html, "</ul>\n");
}

}  // namespace

std::string HtmlReport(const RunRecord& record, const Summary& summary, const std::vector<Chart>& figures) {
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>",
      EscapeMarkup(record.name()), " - Rein</title>\n<style>", ChartStyle(), kPageStyle,
      "</style>\n</head>\n<body>\n<main>\n", Header(record, summary), Tiles(summary),
      Section("Start and result", SummaryTable(summary)), Section("Constraints", ConstraintTable(summary)),
      Section("Curves", Charts(figures)), Section("Answers before and after", AnswerCards(record, summary)),
      Section("Categories", CategoryTable(summary)), Section("Events", EventTable(summary)),
      Section("Missing or skipped", Notes(record)),
      "<footer>Written by rein report. Intervals are 95 % (Wilson).</footer>\n</main>\n</body>\n</html>\n");
}

}  // namespace rein::report
