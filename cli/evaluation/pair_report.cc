#include "cli/evaluation/pair_report.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cli/evaluation/pair_tables.h"

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
  return ChooseInTurn(std::move(kinds), count);
}

std::string PairMarkdown(const PairReport& report) {
  TextTable examples{"Examples", {"question", "category", report.ours, report.base, "outcome"}, {}};
  const bool by_scores = IsByScores(report.judge);
  for (const size_t i : ChooseExamples(report.judged, report.examples)) {
    const evaluation::AnswerPair& pair = report.answers.pairs[i];
    const JudgedPair& judged = report.judged[i];
    examples.rows.push_back({pair.question.text, pair.question.category,
                             absl::StrCat(pair.ours.text, " (", MeasuresText(judged.ours, by_scores), ")"),
                             absl::StrCat(pair.base.text, " (", MeasuresText(judged.base, by_scores), ")"),
                             OutcomesText(judged)});
  }
  std::vector<TextTable> tables = TablesOf(report);
  tables.push_back(std::move(examples));
  DropEmpty(tables);
  return Markdown(
      absl::StrCat(report.ours, " against ", report.base), report.synthetic(), FactsOf(report), tables,
      absl::StrCat("A score is (wins + ties / 2) / all; intervals are 95 % (bootstrap over questions, ",
                   report.bootstrap.resamples, " resamples)."));
}

absl::Status WritePairReport(const PairReport& report, const std::filesystem::path& folder) {
  return WriteReport(folder, "evaluation", PairJson(report), PairMarkdown(report), PairHtml(report));
}

}  // namespace rein::cli
