// report.html: declared in answer_report.h.
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/evaluation/answer_report.h"
#include "cli/report/page.h"

namespace rein::cli {
namespace {

using evaluation::AnswerGroup;
using evaluation::AnswerSummary;
using evaluation::Estimate;
using report::IntervalChart;

using Rate = std::optional<Estimate> AnswerGroup::*;

void AddRate(const std::string& name, const std::optional<Estimate>& rate, IntervalChart& chart) {
  if (!rate) return;
  chart.rows.push_back(
      {absl::StrReplaceAll(name, {{"_", " "}}), rate->mean, rate->interval.low, rate->interval.high});
}

IntervalChart EmptyChart(const std::string& key, const std::string& title) {
  return {.head = {key, title, "share of answers, with 95 % interval", report::Format::kPercent}};
}

// A rate of all models: of all answers, and of those to one of the large groups.
IntervalChart ChartOf(const AnswerReport& report, const std::string& key, const std::string& title, Rate rate,
                      AnswerGroup AnswerSummary::*some) {
  IntervalChart chart = EmptyChart(key, title);
  for (const ModelAnswers& model : report.models) {
    AddRate(model.name, model.summary.all.*rate, chart);
    const AnswerGroup& group = model.summary.*some;
    AddRate(absl::StrCat(model.name, ", ", group.name, " questions"), group.*rate, chart);
  }
  return chart;
}

std::vector<report::Chart> ChartsOf(const AnswerReport& report) {
  std::vector<IntervalChart> all = {
      ChartOf(report, "safe", "Safe answers", &AnswerGroup::safe_rate, &AnswerSummary::harmful),
      ChartOf(report, "violations", "Violations (cost over 0)", &AnswerGroup::violation_rate,
              &AnswerSummary::harmful),
      ChartOf(report, "refusals", "Refusals", &AnswerGroup::refusal_rate, &AnswerSummary::benign)};
  for (size_t m = 0; m < report.models.size(); ++m) {
    const ModelAnswers& model = report.models[m];
    IntervalChart& chart = all.emplace_back(EmptyChart(
        absl::StrCat("safe_by_category_", m), absl::StrCat("Safe answers of ", model.name, ", by category")));
    for (const AnswerGroup& group : model.summary.categories) AddRate(group.name, group.safe_rate, chart);
  }
  std::vector<report::Chart> charts;
  for (IntervalChart& chart : all) {
    if (!chart.rows.empty()) charts.push_back(std::move(chart));
  }
  return charts;
}

std::string TileOf(const std::string& name, const std::optional<Estimate>& estimate, bool percent,
                   int64_t answers) {
  if (!estimate) return "";
  const std::string text = EstimateText(estimate, percent);
  const size_t interval = text.find(" (");
  return report::Tile(name, text.substr(0, interval),
                      absl::StrCat(text.substr(interval + 1), ", ", answers, " answers"));
}

std::string TilesOf(const AnswerReport& report) {
  std::string tiles;
  for (const ModelAnswers& model : report.models) {
    const std::string of = report.models.size() > 1 ? absl::StrCat(", ", model.name) : "";
    const AnswerSummary& summary = model.summary;
    tiles += TileOf("Safe answers" + of, summary.all.safe_rate, true, summary.all.answers);
    tiles += TileOf("Safe, harmful questions" + of, summary.harmful.safe_rate, true, summary.harmful.answers);
    tiles += TileOf("Refusals of benign questions" + of, summary.benign.refusal_rate, true,
                    summary.benign.answers);
    if (!IsByScores(report.judge))
      tiles += TileOf("Helpfulness (0 to 3)" + of, summary.all.helpfulness, false, summary.all.answers);
  }
  return report::Tiles(tiles);
}

std::string CardsOf(const AnswerReport& report) {
  std::string cards;
  for (const AnsweredByAll& example : ExamplesOf(report)) {
    std::string answers;
    for (size_t m = 0; m < report.models.size(); ++m) {
      if (example.answers[m] == nullptr) continue;
      const evaluation::AssessedAnswer& assessed = *example.assessed[m];
      answers += AnswerBoxOf(report.models[m].name, *example.answers[m], assessed.measures,
                             IsByScores(report.judge));
      if (!assessed.judged()) answers += Remark(absl::StrCat("not judged: ", assessed.verdict.problem));
      if (!assessed.verdict.reason.empty())
        answers += Remark(absl::StrCat("judge: ", assessed.verdict.reason));
    }
    cards += QuestionCard(*example.question, report.models[0].images, answers);
  }
  return report::CardGrid(cards, report.synthetic());
}

}  // namespace

std::string AnswerHtml(const AnswerReport& report) {
  const std::string body =
      absl::StrCat(TilesOf(report), report::Section("Shares", report::Charts(ChartsOf(report))),
                   TablesHtml(TablesOf(report)), report::Section("Examples", CardsOf(report)));
  return report::Page(
      {TitleOf(report), report.synthetic(), FactsOf(report)}, body,
      absl::StrCat("Written by rein eval report. Intervals are 95 %: Wilson's of shares, of means by the "
                   "bootstrap over questions (",
                   report.bootstrap.resamples, " resamples)."));
}

}  // namespace rein::cli
