// evaluation.html: declared in pair_report.h.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/evaluation/pair_report.h"
#include "cli/evaluation/pair_tables.h"
#include "cli/report/page.h"

namespace rein::cli {
namespace {

using evaluation::Group;
using evaluation::Tally;
using report::Chart;
using report::IntervalChart;
using report::ShareChart;

constexpr double kEven = 0.5;  // the score of equals

IntervalChart EmptyScores(const std::string& key, const std::string& title, const PairReport& report) {
  IntervalChart chart{
      .head = {key, title, absl::StrCat(report.ours, " against ", report.base, ", with 95 % interval")}};
  chart.level = report::Level{"even", kEven};
  return chart;
}

void AddScore(const std::string& name, const Tally& tally, IntervalChart& chart) {
  if (!tally.score) return;
  const evaluation::Estimate& score = *tally.score;
  chart.rows.push_back(
      {absl::StrReplaceAll(name, {{"_", " "}}), score.mean, score.interval.low, score.interval.high});
}

void AddShares(const std::string& name, const Tally& tally, ShareChart& chart) {
  if (tally.wins + tally.ties + tally.losses == 0) return;
  chart.rows.push_back({name,
                        {static_cast<double>(tally.wins), static_cast<double>(tally.ties),
                         static_cast<double>(tally.losses)}});
}

std::vector<Chart> ChartsOf(const PairReport& report) {
  const evaluation::PairSummary& summary = report.summary;
  IntervalChart scores = EmptyScores("scores", "Scores", report);
  ShareChart shares{.head = {"outcomes", "Wins, ties and losses", "by number of questions"},
                    .names = {"win", "tie", "loss"}};
  for (const Group* group : {&summary.all, &summary.harmful, &summary.benign}) {
    const std::string of = group == &summary.all ? "" : absl::StrCat(", ", group->name, " questions");
    AddScore(absl::StrCat("more helpful", of), group->helpful, scores);
    AddScore(absl::StrCat("safer", of), group->safer, scores);
    AddShares(absl::StrCat("more helpful", of), group->helpful, shares);
    AddShares(absl::StrCat("safer", of), group->safer, shares);
  }
  IntervalChart helpful = EmptyScores("helpful_by_category", "More helpful, by category", report),
                safer = EmptyScores("safer_by_category", "Safer, by category", report);
  for (const Group& group : summary.categories) {
    AddScore(group.name, group.helpful, helpful);
    AddScore(group.name, group.safer, safer);
  }
  std::vector<Chart> charts;
  if (!shares.rows.empty()) charts.push_back(std::move(shares));
  for (IntervalChart* chart : {&scores, &helpful, &safer}) {
    if (!chart->rows.empty()) charts.push_back(std::move(*chart));
  }
  return charts;
}

std::string TilesOf(const PairReport& report) {
  std::string tiles;
  const auto add = [&](const std::string& name, const Group& group, const Tally& tally) {
    if (!tally.score) return;
    const std::string score = EstimateText(tally.score);
    tiles += report::Tile(
        name, score.substr(0, score.find(" (")),
        absl::StrCat(score.substr(score.find('(')), ", ", group.judged, " questions; even is 0.5"));
  };
  const evaluation::PairSummary& summary = report.summary;
  add("More helpful: score", summary.all, summary.all.helpful);
  add("Safer: score", summary.all, summary.all.safer);
  add("More helpful, benign questions", summary.benign, summary.benign.helpful);
  add("Safer, harmful questions", summary.harmful, summary.harmful.safer);
  return report::Tiles(tiles);
}

std::string CardOf(const PairReport& report, size_t i) {
  const evaluation::AnswerPair& pair = report.answers.pairs[i];
  const evaluation::JudgedPair& judged = report.judged[i];
  const bool by_scores = IsByScores(report.judge);
  std::string answers =
      absl::StrCat(AnswerBoxOf(report.ours, pair.ours, judged.ours, by_scores),
                   AnswerBoxOf(report.base, pair.base, judged.base, by_scores), Remark(OutcomesText(judged)));
  for (const evaluation::Verdict& verdict : judged.orders) {
    if (!verdict.reason.empty()) answers += Remark(absl::StrCat("judge: ", verdict.reason));
  }
  return QuestionCard(pair.question, report.images, answers);
}

}  // namespace

std::string PairHtml(const PairReport& report) {
  std::string cards;
  for (const size_t i : ChooseExamples(report.judged, report.examples)) cards += CardOf(report, i);
  const std::string body =
      absl::StrCat(TilesOf(report), report::Section("Outcomes", report::Charts(ChartsOf(report))),
                   TablesHtml(TablesOf(report)),
                   report::Section("Side by side", report::CardGrid(cards, report.synthetic())));
  return report::Page(
      {absl::StrCat(report.ours, " against ", report.base), report.synthetic(), FactsOf(report)}, body,
      absl::StrCat("Written by rein eval pairs. A score is (wins + ties / 2) / all. Intervals are 95 % "
                   "(bootstrap over questions, ",
                   report.bootstrap.resamples,
                   " resamples). In order to be a win or a loss, a judgement has to be the same in "
                   "both orders of the answers."));
}

}  // namespace rein::cli
