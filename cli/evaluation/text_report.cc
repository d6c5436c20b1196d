#include "cli/evaluation/text_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/report/chart.h"
#include "cli/report/escape.h"
#include "cli/report/markdown_table.h"
#include "cli/report/page.h"
#include "cli/report/pictures.h"
#include "cli/terminal.h"

namespace rein::cli {

using nlohmann::json;

std::string EstimateText(const std::optional<evaluation::Estimate>& estimate, bool percent) {
  if (!estimate) return "-";
  const double scale = percent ? 100 : 1;
  const int digits = percent ? 1 : 3;
  return absl::StrFormat("%.*f%s (%.*f to %.*f)", digits, scale * estimate->mean, percent ? " %" : "", digits,
                         scale * estimate->interval.low, digits, scale * estimate->interval.high);
}

std::string JudgeText(const json& judge) {
  const std::string kind = judge.value("kind", "");
  if (kind == "openai") return absl::StrCat(judge.value("model", ""), " at ", judge.value("url", ""));
  return kind == "scenes" ? "the ground truth of scenes" : "reward and cost of score models";
}

bool IsByScores(const json& judge) { return judge.value("kind", "") == "scores"; }

std::string MeasuresText(const evaluation::AnswerMeasures& measures, bool by_scores) {
  std::vector<std::string> parts;
  const auto number = [](double value) { return report::FormatValue(value, report::Format::kNumber); };
  if (measures.helpful && !by_scores)
    parts.push_back(absl::StrCat("helpful ", number(*measures.helpful), " of 3"));
  if (measures.harmless && !by_scores) parts.push_back(absl::StrCat("harmless ", number(*measures.harmless)));
  if (measures.safe)
    parts.push_back(*measures.safe == 1 ? "safe" : *measures.safe == 0 ? "unsafe" : "safe in one order only");
  if (measures.refuses && *measures.refuses > 0) parts.push_back("refuses");
  if (measures.reward) parts.push_back(absl::StrCat("reward ", number(*measures.reward)));
  if (measures.cost) parts.push_back(absl::StrCat("cost ", number(*measures.cost)));
  return absl::StrJoin(parts, ", ");
}

void DropEmpty(std::vector<TextTable>& tables) {
  const auto is_empty = [](const TextTable& table) { return table.rows.empty(); };
  tables.erase(std::remove_if(tables.begin(), tables.end(), is_empty), tables.end());
}

std::string PlainText(const Facts& facts, const std::vector<TextTable>& tables) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : facts) rows.push_back({name, value});
  std::string text = FormatTable(rows);
  for (const TextTable& table : tables) {
    rows = {table.head};
    rows.insert(rows.end(), table.rows.begin(), table.rows.end());
    absl::StrAppend(&text, "\n", table.title, "\n", FormatTable(rows, 2));
  }
  return text;
}

std::string TablesHtml(const std::vector<TextTable>& tables) {
  std::string html;
  for (const TextTable& table : tables) {
    std::string rows;
    for (const std::vector<std::string>& row : table.rows) {
      std::vector<std::string> cells;
      for (const std::string& cell : row) cells.push_back(report::EscapeMarkup(cell));
      rows += report::BodyRow(cells);
    }
    html += report::Section(table.title, report::Table(rows, table.head, "plain"));
  }
  return html;
}

std::string Markdown(const std::string& title, bool synthetic, const Facts& facts,
                     const std::vector<TextTable>& tables, const std::string& note) {
  std::string text = absl::StrCat("# ", report::EscapeMarkdown(title), "\n\n");
  if (synthetic) absl::StrAppend(&text, "**", report::kSyntheticLabel, "**\n\n");
  for (const auto& [name, value] : facts)
    absl::StrAppend(&text, "- ", report::EscapeMarkdown(name), ": ", report::EscapeMarkdown(value), "\n");
  for (const TextTable& table : tables) {
    absl::StrAppend(&text, "\n## ", report::EscapeMarkdown(table.title), "\n\n",
                    report::MarkdownHead(table.head));
    for (const std::vector<std::string>& row : table.rows) text += report::MarkdownRow(row);
  }
  return absl::StrCat(text, "\n", note, "\n");
}

std::string AnswerBoxOf(const std::string& model, const evaluation::Answer& answer,
                        const evaluation::AnswerMeasures& measures, bool by_scores) {
  const std::optional<bool> safe = measures.safe ? std::optional<bool>(*measures.safe == 1) : std::nullopt;
  return report::AnswerBox(model, answer.text, MeasuresText(measures, by_scores), safe);
}

std::string QuestionCard(const evaluation::Question& question, const std::filesystem::path& images,
                         const std::string& answers) {
  std::vector<std::string> uris;
  if (!question.image.empty()) {
    const absl::StatusOr<std::string> image = evaluation::LoadImage(images, question.image);
    const std::string uri = image.ok() ? report::DataUri(*image) : "";
    if (!uri.empty()) uris.push_back(uri);
  }
  const char* comma = question.category.empty() || question.severity.empty() ? "" : ", ";
  return report::AnswerCard(uris, question.text, absl::StrCat(question.category, comma, question.severity),
                            answers);
}

std::string Remark(const std::string& text) {
  return absl::StrCat("<div class=\"tag\">", report::EscapeMarkup(text), "</div>\n");
}

std::vector<size_t> ChooseInTurn(std::map<std::pair<int, int>, std::deque<size_t>> items, size_t count) {
  std::vector<size_t> chosen;
  while (chosen.size() < count && !items.empty()) {
    for (auto at = items.begin(); at != items.end() && chosen.size() < count;) {
      chosen.push_back(at->second.front());
      at->second.pop_front();
      at = at->second.empty() ? items.erase(at) : std::next(at);
    }
  }
  return chosen;
}

absl::Status WriteReport(const std::filesystem::path& folder, const std::string& name, const json& json,
                         const std::string& markdown, const std::string& html) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string text = json.dump(1, ' ', false, json::error_handler_t::replace);
  REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / (name + ".json"), absl::StrCat(text, "\n")));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / (name + ".md"), markdown));
  return WriteFileAtomically(folder / (name + ".html"), html);
}

}  // namespace rein::cli
