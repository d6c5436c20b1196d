#include "cli/evaluation/pair_tables.h"

#include <optional>

#include "absl/strings/str_cat.h"

namespace rein::cli {
namespace {

using evaluation::Group;
using evaluation::Measured;
using evaluation::Tally;

std::string WinsText(const Tally& tally) {
  return absl::StrCat(tally.wins, " / ", tally.ties, " / ", tally.losses);
}

TextTable ScoreTable(const PairReport& report) {
  TextTable table{"Scores against the base",
                  {"questions", "number", "more helpful: win / tie / loss", "score",
                   "safer: win / tie / loss", "score", "orders disagree"},
                  {}};
  for (const Group* group : {&report.summary.all, &report.summary.harmful, &report.summary.benign}) {
    if (group->questions == 0) continue;
    table.rows.push_back({group->name, absl::StrCat(group->questions), WinsText(group->helpful),
                          EstimateText(group->helpful.score), WinsText(group->safer),
                          EstimateText(group->safer.score),
                          absl::StrCat(group->helpful.disagreements, " / ", group->safer.disagreements)});
  }
  return table;
}

TextTable MeasureTable(const PairReport& report) {
  TextTable table{"Both models", {"", report.ours, report.base, "difference"}, {}};
  const auto add = [&table](const std::string& name, const Measured& measured, bool percent) {
    if (!measured.ours && !measured.base) return;
    table.rows.push_back({name, EstimateText(measured.ours, percent), EstimateText(measured.base, percent),
                          EstimateText(measured.difference, percent)});
  };
  const evaluation::PairSummary& summary = report.summary;
  add("safe answers", summary.all.safe_rate, true);
  add("safe answers to harmful questions", summary.harmful.safe_rate, true);
  add("refusals of benign questions", summary.benign.refusal_rate, true);
  // Of score models these are reward and cost once more.
  if (!IsByScores(report.judge)) {
    add("helpfulness (0 to 3)", summary.all.helpfulness, false);
    add("helpfulness to benign questions", summary.benign.helpfulness, false);
    add("harmlessness (-3 to 3)", summary.all.harmlessness, false);
  }
  add("reward", summary.all.reward, false);
  add("cost", summary.all.cost, false);
  return table;
}

TextTable GroupTable(const std::string& title, const std::string& what, const std::vector<Group>& groups,
                     const PairReport& report) {
  TextTable table{title,
                  {what, "questions", "more helpful: score", "safer: score",
                   absl::StrCat("safe, ", report.ours), absl::StrCat("safe, ", report.base)},
                  {}};
  for (const Group& group : groups) {
    table.rows.push_back({group.name, absl::StrCat(group.questions), EstimateText(group.helpful.score),
                          EstimateText(group.safer.score), EstimateText(group.safe_rate.ours, true),
                          EstimateText(group.safe_rate.base, true)});
  }
  return table;
}

TextTable ProblemTable(const PairReport& report) {
  TextTable table{"Left out", {"why", "number"}, {}};
  const auto add = [&table](const std::string& why, int64_t count) {
    if (count > 0) table.rows.push_back({why, absl::StrCat(count)});
  };
  add(absl::StrCat("questions that only ", report.ours, " answered"), report.answers.only_ours);
  add(absl::StrCat("questions that only ", report.base, " answered"), report.answers.only_base);
  add("ids under which the files ask different questions", report.answers.different_questions);
  for (const auto& [why, count] : report.dropped_ours)
    add(absl::StrCat("rows of ", report.ours, ": ", why), count);
  for (const auto& [why, count] : report.dropped_base)
    add(absl::StrCat("rows of ", report.base, ": ", why), count);
  for (const auto& [why, count] : report.summary.unjudged.problems)
    add(absl::StrCat("judgements: ", why), count);
  return table;
}

}  // namespace

std::string OutcomesText(const evaluation::JudgedPair& judged) {
  if (!judged.judged()) {
    const evaluation::Verdict& first = judged.orders[0];
    const bool first_judged = first.state == evaluation::Verdict::State::kJudged;
    return absl::StrCat("not judged: ", first_judged ? judged.orders[1].problem : first.problem);
  }
  const auto text = [](const std::optional<evaluation::Settled>& settled) -> std::string {
    if (!settled) return "not said";
    return absl::StrCat(OutcomeName(settled->outcome),
                        settled->orders_disagree ? " (the orders disagree)" : "");
  };
  return absl::StrCat("more helpful: ", text(judged.helpful), "; safer: ", text(judged.safer));
}

std::vector<TextTable> TablesOf(const PairReport& report) {
  std::vector<TextTable> tables = {ScoreTable(report), MeasureTable(report),
                                   GroupTable("Categories", "category", report.summary.categories, report),
                                   GroupTable("Severities", "severity", report.summary.severities, report),
                                   ProblemTable(report)};
  DropEmpty(tables);
  return tables;
}

Facts FactsOf(const PairReport& report) {
  const evaluation::PairSummary& summary = report.summary;
  return {{"judge", JudgeText(report.judge)},
          {"questions", absl::StrCat(summary.all.questions)},
          {"judged in both orders", absl::StrCat(summary.all.judged)},
          {"unparsable judgements", absl::StrCat(summary.unjudged.unparsable)},
          {"failed judgements", absl::StrCat(summary.unjudged.failed)}};
}

}  // namespace rein::cli
