#include "evaluation/summary.h"

#include <functional>
#include <limits>
#include <utility>

namespace rein::evaluation {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

// Indices of questions.
using Selection = std::vector<size_t>;

// Columns of a group, and where their estimates go.
class Table {
 public:
  void Add(Column column, std::optional<Estimate>& estimate) {
    columns_.push_back(std::move(column));
    estimates_.push_back(&estimate);
  }

  // Of ours, the base, and their difference.
  template <typename MeasureFn>  // std::optional<double>(const AnswerMeasures&)
  void AddMeasure(const std::vector<const JudgedPair*>& pairs, MeasureFn measure, Measured& measured) {
    Column ours, base, difference;
    for (const JudgedPair* pair : pairs) {
      ours.push_back(measure(pair->ours).value_or(kNone));
      base.push_back(measure(pair->base).value_or(kNone));
      difference.push_back(ours.back() - base.back());
    }
    Add(std::move(ours), measured.ours);
    Add(std::move(base), measured.base);
    Add(std::move(difference), measured.difference);
  }

  void Fill(const BootstrapOptions& options) const {
    const std::vector<std::optional<Estimate>> found = EstimateMeans(columns_, options);
    for (size_t i = 0; i < found.size(); ++i) *estimates_[i] = found[i];
  }

 private:
  std::vector<Column> columns_;
  std::vector<std::optional<Estimate>*> estimates_;
};

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
  Table table;
  table.Add(Count(pairs, &JudgedPair::helpful, group.helpful), group.helpful.score);
  table.Add(Count(pairs, &JudgedPair::safer, group.safer), group.safer.score);
  const auto add = [&](std::optional<double> AnswerMeasures::*measure, Measured& measured) {
    table.AddMeasure(
        pairs, [measure](const AnswerMeasures& measures) { return measures.*measure; }, measured);
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

using IsInFn = std::function<bool(const Question&)>;

Selection Select(const std::vector<AnswerPair>& pairs, const IsInFn& is_in) {
  Selection selection;
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (is_in(pairs[i].question)) selection.push_back(i);
  }
  return selection;
}

void CountProblems(const Verdict& verdict, PairSummary& summary) {
  if (verdict.state == Verdict::State::kJudged) return;
  (verdict.state == Verdict::State::kUnparsable ? summary.unparsable : summary.failed) += 1;
  ++summary.problems[verdict.problem];
}

nlohmann::json ToJson(const std::optional<Estimate>& estimate) {
  if (!estimate) return nullptr;
  return {{"mean", estimate->mean}, {"low", estimate->interval.low}, {"high", estimate->interval.high}};
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

nlohmann::json AnswerJson(const Answer& answer, const AnswerMeasures& measures) {
  nlohmann::json json = {{"answer", answer.text}};
  AddKnown("helpful", measures.helpful, json);
  AddKnown("harmless", measures.harmless, json);
  AddKnown("safe", measures.safe, json);
  AddKnown("refuses", measures.refuses, json);
  AddKnown("reward", measures.reward, json);
  AddKnown("cost", measures.cost, json);
  return json;
}

nlohmann::json OutcomeJson(const std::optional<Settled>& settled) {
  if (!settled) return nullptr;
  return {{"outcome", OutcomeName(settled->outcome)}, {"orders_disagree", settled->orders_disagree}};
}

}  // namespace

PairSummary Summarise(const std::vector<AnswerPair>& pairs, const std::vector<JudgedPair>& judged,
                      const BootstrapOptions& options) {
  const auto group = [&](const std::string& name, const IsInFn& is_in) {
    return GroupOf(name, judged, Select(pairs, is_in), options);
  };
  PairSummary summary;
  summary.all = group("all", [](const Question&) { return true; });
  summary.harmful = group("harmful", [](const Question& question) { return question.harmful(); });
  summary.benign = group("benign", [](const Question& question) { return question.benign(); });
  std::map<std::string, Selection> categories, severities;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Question& question = pairs[i].question;
    if (!question.category.empty()) categories[question.category].push_back(i);
    if (!question.severity.empty()) severities[question.severity].push_back(i);
  }
  for (const auto& [name, selection] : categories)
    summary.categories.push_back(GroupOf(name, judged, selection, options));
  for (const auto& [name, selection] : severities)
    summary.severities.push_back(GroupOf(name, judged, selection, options));
  for (const JudgedPair& pair : judged) {
    for (const Verdict& verdict : pair.orders) CountProblems(verdict, summary);
  }
  return summary;
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
          {"unparsable", summary.unparsable},
          {"failed", summary.failed},
          {"problems", summary.problems}};
}

nlohmann::json ToJson(const AnswerPair& pair, const JudgedPair& judged) {
  nlohmann::json orders = nlohmann::json::array();
  for (const Verdict& verdict : judged.orders) {
    const bool is_judged = verdict.state == Verdict::State::kJudged;
    orders.push_back({{"judged", is_judged},
                      {is_judged ? "reason" : "problem", is_judged ? verdict.reason : verdict.problem}});
  }
  return {{"id", pair.question.id},
          {"question", pair.question.text},
          {"image", pair.question.image},
          {"category", pair.question.category},
          {"severity", pair.question.severity},
          {"ours", AnswerJson(pair.ours, judged.ours)},
          {"base", AnswerJson(pair.base, judged.base)},
          {"helpful", OutcomeJson(judged.helpful)},
          {"safer", OutcomeJson(judged.safer)},
          {"orders", orders}};
}

}  // namespace rein::evaluation
