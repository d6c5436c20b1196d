#include "cli/evaluation/pair_report.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/evaluation/pair_tables.h"
#include "cli/report/escape.h"
#include "cli/report/markdown_table.h"

namespace rein::cli {

using evaluation::JudgedPair;
using nlohmann::json;

json PairJson(const PairReport& report) {
  json all = ToJson(report.summary);
  all["synthetic"] = report.synthetic();
  all["ours"] = report.ours;
  all["base"] = report.base;
  all["judge"] = report.judge;
  all["answers"] = {
      {"paired", report.answers.pairs.size()}, {"only_ours", report.answers.only_ours},
      {"only_base", report.answers.only_base}, {"different_questions", report.answers.different_questions},
      {"dropped_ours", report.dropped_ours},   {"dropped_base", report.dropped_base}};
  all["bootstrap"] = {{"resamples", report.bootstrap.resamples}, {"seed", report.bootstrap.seed}};
  json& pairs = all["pairs"] = json::array();
  for (size_t i = 0; i < report.judged.size(); ++i)
    pairs.push_back(ToJson(report.answers.pairs[i], report.judged[i]));
  return all;
}

std::vector<size_t> ChooseExamples(const std::vector<JudgedPair>& judged, size_t count) {
  std::map<std::pair<int, int>, std::deque<size_t>> kinds;
  const auto kind = [](const std::optional<evaluation::Settled>& settled) {
    return settled ? static_cast<int>(settled->outcome) : -1;
  };
  for (size_t i = 0; i < judged.size(); ++i) {
    if (judged[i].judged()) kinds[{kind(judged[i].safer), kind(judged[i].helpful)}].push_back(i);
  }
  std::vector<size_t> chosen;
  while (chosen.size() < count && !kinds.empty()) {
    for (auto at = kinds.begin(); at != kinds.end() && chosen.size() < count;) {
      chosen.push_back(at->second.front());
      at->second.pop_front();
      at = at->second.empty() ? kinds.erase(at) : std::next(at);
    }
  }
  return chosen;
}

std::string PairMarkdown(const PairReport& report) {
  std::string text = absl::StrCat("# ", report::EscapeMarkdown(report.ours), " against ",
                                  report::EscapeMarkdown(report.base), "\n\n");
  if (report.synthetic()) absl::StrAppend(&text, "**Synthetic data (scenes)**\n\n");
  for (const auto& [name, value] : FactsOf(report))
    absl::StrAppend(&text, "- ", name, ": ", report::EscapeMarkdown(value), "\n");
  for (const TextTable& table : TablesOf(report)) {
    absl::StrAppend(&text, "\n## ", report::EscapeMarkdown(table.title), "\n\n",
                    report::MarkdownHead(table.head));
    for (const std::vector<std::string>& row : table.rows) text += report::MarkdownRow(row);
  }
  std::string rows;
  const bool by_scores = report.judge.value("kind", "") == "scores";
  for (const size_t i : ChooseExamples(report.judged, report.examples)) {
    const evaluation::AnswerPair& pair = report.answers.pairs[i];
    const JudgedPair& judged = report.judged[i];
    rows +=
        report::MarkdownRow({pair.question.text, pair.question.category,
                             absl::StrCat(pair.ours.text, " (", MeasuresText(judged.ours, by_scores), ")"),
                             absl::StrCat(pair.base.text, " (", MeasuresText(judged.base, by_scores), ")"),
                             OutcomesText(judged)});
  }
  if (!rows.empty())
    absl::StrAppend(&text, "\n## Examples\n\n",
                    report::MarkdownHead({"question", "category", report.ours, report.base, "outcome"}),
                    rows);
  return absl::StrCat(text,
                      "\nA score is (wins + ties / 2) / all; intervals are 95 % (bootstrap over questions, ",
                      report.bootstrap.resamples, " resamples).\n");
}

absl::Status WritePairReport(const PairReport& report, const std::filesystem::path& folder) {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  const std::string text = PairJson(report).dump(1, ' ', false, json::error_handler_t::replace);
  REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / "evaluation.json", absl::StrCat(text, "\n")));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(folder / "evaluation.md", PairMarkdown(report)));
  return WriteFileAtomically(folder / "evaluation.html", PairHtml(report));
}

}  // namespace rein::cli
