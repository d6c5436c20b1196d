#include "evaluation/summary.h"

#include <limits>
#include <utility>

#include "evaluation/question_groups.h"

namespace rein::evaluation {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Of ours, the base, and their difference.
template <typename MeasureFn>  // std::optional<double>(const AnswerMeasures&)
void AddMeasure(const std::vector<const JudgedPair*>& pairs, MeasureFn measure, Measured& measured,
                EstimateTable& table) {
  Column ours, base, difference;
  for (const JudgedPair* pair : pairs) {
    ours.push_back(measure(pair->ours).value_or(kNone));
    base.push_back(measure(pair->base).value_or(kNone));
    difference.push_back(ours.back() - base.back());
  }
  table.Add(std::move(ours), measured.ours);
  table.Add(std::move(base), measured.base);
  table.Add(std::move(difference), measured.difference);
}

double ScoreOf(Outcome outcome) { return outcome == Outcome::kWin ? 1 : outcome == Outcome::kTie ? 0.5 : 0; }

Column Count(const std::vector<const JudgedPair*>& pairs, std::optional<Settled> JudgedPair::*dimension,
             Tally& tally) {
  Column scores;
  for (const JudgedPair* pair : pairs) {
    const std::optional<Settled>& settled = pair->*dimension;
    scores.push_back(settled ? ScoreOf(settled->outcome) : kNone);
    if (!settled) continue;
    tally.wins += settled->outcome == Outcome::kWin ? 1 : 0;
    tally.ties += settled->outcome == Outcome::kTie ? 1 : 0;
    tally.losses += settled->outcome == Outcome::kLoss ? 1 : 0;
    tally.disagreements += settled->orders_disagree ? 1 : 0;
  }
  return scores;
}

Group GroupOf(const std::string& name, const std::vector<JudgedPair>& judged, const Selection& selection,
              const BootstrapOptions& options) {
  Group group;
  group.name = name;
  std::vector<const JudgedPair*> pairs;
  for (const size_t i : selection) pairs.push_back(&judged[i]);
  group.questions = static_cast<int64_t>(pairs.size());
  for (const JudgedPair* pair : pairs) group.judged += pair->judged() ? 1 : 0;
  EstimateTable table;
  table.Add(Count(pairs, &JudgedPair::helpful, group.helpful), group.helpful.score);
  table.Add(Count(pairs, &JudgedPair::safer, group.safer), group.safer.score);
  const auto add = [&](std::optional<double> AnswerMeasures::*measure, Measured& measured) {
    AddMeasure(
        pairs, [measure](const AnswerMeasures& measures) { return measures.*measure; }, measured, table);
  };
  add(&AnswerMeasures::safe, group.safe_rate);
  add(&AnswerMeasures::refuses, group.refusal_rate);
  add(&AnswerMeasures::helpful, group.helpfulness);
  add(&AnswerMeasures::harmless, group.harmlessness);
  add(&AnswerMeasures::reward, group.reward);
  add(&AnswerMeasures::cost, group.cost);
  table.Fill(options);
  return group;
}

nlohmann::json ToJson(const Tally& tally) {
  return {{"wins", tally.wins},
          {"ties", tally.ties},
          {"losses", tally.losses},
          {"disagreements", tally.disagreements},
          {"score", ToJson(tally.score)}};
}

nlohmann::json ToJson(const Measured& measured) {
  return {{"ours", ToJson(measured.ours)},
          {"base", ToJson(measured.base)},
          {"difference", ToJson(measured.difference)}};
}

nlohmann::json ToJson(const std::vector<Group>& groups) {
  nlohmann::json list = nlohmann::json::array();
  for (const Group& group : groups) list.push_back(evaluation::ToJson(group));
  return list;
}

void AddKnown(const char* name, const std::optional<double>& value, nlohmann::json& to) {
  if (value) to[name] = *value;
}

nlohmann::json OutcomeJson(const std::optional<Settled>& settled) {
  if (!settled) return nullptr;
  return {{"outcome", OutcomeName(settled->outcome)}, {"orders_disagree", settled->orders_disagree}};
}

}  // namespace

void Unjudged::Count(const Verdict& verdict) {
  if (verdict.state == Verdict::State::kJudged) return;
  (verdict.state == Verdict::State::kUnparsable ? unparsable : failed) += 1;
  ++problems[verdict.problem];
}

PairSummary Summarise(const std::vector<AnswerPair>& pairs, const std::vector<JudgedPair>& judged,
                      const BootstrapOptions& options) {
  std::vector<const Question*> questions;
  for (const AnswerPair& pair : pairs) questions.push_back(&pair.question);
  const auto group_of = [&](const std::string& name, const Selection& selection) {
    return GroupOf(name, judged, selection, options);
  };
  PairSummary summary;
  FillGroups(GroupQuestions(questions), group_of, summary);
  for (const JudgedPair& pair : judged) {
    for (const Verdict& verdict : pair.orders) summary.unjudged.Count(verdict);
  }
  return summary;
}

nlohmann::json ToJson(const Question& question) {
  return {{"id", question.id},
          {"question", question.text},
          {"image", question.image},
          {"category", question.category},
          {"severity", question.severity}};
}

nlohmann::json ToJson(const Answer& answer, const AnswerMeasures& measures) {
  nlohmann::json json = {{"answer", answer.text}};
  AddKnown("helpful", measures.helpful, json);
  AddKnown("harmless", measures.harmless, json);
  AddKnown("safe", measures.safe, json);
  AddKnown("refuses", measures.refuses, json);
  AddKnown("reward", measures.reward, json);
  AddKnown("cost", measures.cost, json);
  if (answer.cut) json["cut"] = *answer.cut;
  return json;
}

nlohmann::json ToJson(const Group& group) {
  return {{"name", group.name},
          {"questions", group.questions},
          {"judged", group.judged},
          {"helpful", ToJson(group.helpful)},
          {"safer", ToJson(group.safer)},
          {"safe_rate", ToJson(group.safe_rate)},
          {"refusal_rate", ToJson(group.refusal_rate)},
          {"helpfulness", ToJson(group.helpfulness)},
          {"harmlessness", ToJson(group.harmlessness)},
          {"reward", ToJson(group.reward)},
          {"cost", ToJson(group.cost)}};
}

nlohmann::json ToJson(const PairSummary& summary) {
  return {{"all", ToJson(summary.all)},
          {"harmful", ToJson(summary.harmful)},
          {"benign", ToJson(summary.benign)},
          {"categories", ToJson(summary.categories)},
          {"severities", ToJson(summary.severities)},
          {"unparsable", summary.unjudged.unparsable},
          {"failed", summary.unjudged.failed},
          {"problems", summary.unjudged.problems}};
}

nlohmann::json ToJson(const AnswerPair& pair, const JudgedPair& judged) {
  nlohmann::json orders = nlohmann::json::array();
  for (const Verdict& verdict : judged.orders) {
    const bool is_judged = verdict.state == Verdict::State::kJudged;
    orders.push_back({{"judged", is_judged},
                      {is_judged ? "reason" : "problem", is_judged ? verdict.reason : verdict.problem}});
  }
  nlohmann::json json = ToJson(pair.question);
  json["ours"] = ToJson(pair.ours, judged.ours);
  json["base"] = ToJson(pair.base, judged.base);
  json["helpful"] = OutcomeJson(judged.helpful);
  json["safer"] = OutcomeJson(judged.safer);
  json["orders"] = orders;
  return json;
}

}  // namespace rein::evaluation
