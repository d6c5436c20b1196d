#include "evaluation/answer_summary.h"

#include <limits>
#include <utility>

#include "evaluation/question_groups.h"

namespace rein::evaluation {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Hits among what is known.
class Rate {
 public:
  void Add(bool hit) {
    ++trials_;
    hits_ += hit ? 1 : 0;
  }
  std::optional<Estimate> estimate() const {
    if (trials_ == 0) return std::nullopt;
    return Estimate{static_cast<double>(hits_) / static_cast<double>(trials_),
                    learning::WilsonInterval(hits_, trials_)};
  }

 private:
  int64_t hits_ = 0, trials_ = 0;
};

struct Answers {
  const std::vector<AnsweredQuestion>& rows;
  const std::vector<AssessedAnswer>& assessed;
};

void CountRates(const Answers& answers, const Selection& selection, AnswerGroup& group) {
  Rate safe, refusal, violation, cut;
  for (const size_t i : selection) {
    const AnswerMeasures& measures = answers.assessed[i].measures;
    if (measures.safe) safe.Add(*measures.safe > 0);
    if (measures.refuses) refusal.Add(*measures.refuses > 0);
    if (measures.cost) violation.Add(*measures.cost > 0);
    if (const std::optional<bool> is_cut = answers.rows[i].answer.cut) cut.Add(*is_cut);
  }
  group.safe_rate = safe.estimate();
  group.refusal_rate = refusal.estimate();
  group.violation_rate = violation.estimate();
  group.cut_rate = cut.estimate();
}

void EstimateMeasures(const Answers& answers, const Selection& selection, const BootstrapOptions& options,
                      AnswerGroup& group) {
  EstimateTable table;
  const auto add = [&](std::optional<double> AnswerMeasures::*measure, std::optional<Estimate>& estimate) {
    Column column;
    for (const size_t i : selection)
      column.push_back((answers.assessed[i].measures.*measure).value_or(kNone));
    table.Add(std::move(column), estimate);
  };
  add(&AnswerMeasures::helpful, group.helpfulness);
  add(&AnswerMeasures::harmless, group.harmlessness);
  add(&AnswerMeasures::reward, group.reward);
  add(&AnswerMeasures::cost, group.cost);
  table.Fill(options);
}

AnswerGroup GroupOf(const std::string& name, const Answers& answers, const Selection& selection,
                    const BootstrapOptions& options) {
  AnswerGroup group;
  group.name = name;
  group.answers = static_cast<int64_t>(selection.size());
  for (const size_t i : selection) group.judged += answers.assessed[i].judged() ? 1 : 0;
  CountRates(answers, selection, group);
  EstimateMeasures(answers, selection, options, group);
  return group;
}

nlohmann::json ToJson(const AnswerGroup& group) {
  return {{"name", group.name},
          {"answers", group.answers},
          {"judged", group.judged},
          {"safe_rate", ToJson(group.safe_rate)},
          {"violation_rate", ToJson(group.violation_rate)},
          {"refusal_rate", ToJson(group.refusal_rate)},
          {"cut_rate", ToJson(group.cut_rate)},
          {"helpfulness", ToJson(group.helpfulness)},
          {"harmlessness", ToJson(group.harmlessness)},
          {"reward", ToJson(group.reward)},
          {"cost", ToJson(group.cost)}};
}

nlohmann::json ToJson(const std::vector<AnswerGroup>& groups) {
  nlohmann::json list = nlohmann::json::array();
  for (const AnswerGroup& group : groups) list.push_back(ToJson(group));
  return list;
}

}  // namespace

AnswerSummary Summarise(const std::vector<AnsweredQuestion>& rows,
                        const std::vector<AssessedAnswer>& assessed, const BootstrapOptions& options) {
  const Answers answers{rows, assessed};
  std::vector<const Question*> questions;
  for (const AnsweredQuestion& row : rows) questions.push_back(&row.question);
  const auto group_of = [&](const std::string& name, const Selection& selection) {
    return GroupOf(name, answers, selection, options);
  };
  AnswerSummary summary;
  FillGroups(GroupQuestions(questions), group_of, summary);
  for (const AssessedAnswer& answer : assessed) summary.unjudged.Count(answer.verdict);
  return summary;
}

nlohmann::json ToJson(const AnswerSummary& summary) {
  return {{"all", ToJson(summary.all)},
          {"harmful", ToJson(summary.harmful)},
          {"benign", ToJson(summary.benign)},
          {"categories", ToJson(summary.categories)},
          {"severities", ToJson(summary.severities)},
          {"unparsable", summary.unjudged.unparsable},
          {"failed", summary.unjudged.failed},
          {"problems", summary.unjudged.problems}};
}

nlohmann::json ToJson(const AnsweredQuestion& row, const AssessedAnswer& assessed) {
  nlohmann::json json = ToJson(row.question);
  json.update(ToJson(row.answer, assessed.measures));
  json["judged"] = assessed.judged();
  json[assessed.judged() ? "reason" : "problem"] =
      assessed.judged() ? assessed.verdict.reason : assessed.verdict.problem;
  return json;
}

}  // namespace rein::evaluation
