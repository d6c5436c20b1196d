#include "cli/report/summary.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "cli/report/chart.h"
#include "cli/report/fields.h"

namespace rein::report {
namespace {

using nlohmann::json;

constexpr char kNone[] = "-";

std::string Show(std::optional<double> value, Format format = Format::kNumber) {
  return value ? FormatValue(*value, format) : kNone;
}

std::string ShowRate(const json& object, const std::string& rate, const std::string& low,
                     const std::string& high) {
  const auto value = NumberAt(object, {rate}), from = NumberAt(object, {low}), to = NumberAt(object, {high});
  if (!value || !from || !to) return Show(value, Format::kPercent);
  return absl::StrFormat("%s (%.1f to %.1f)", Show(value, Format::kPercent), 100 * *from, 100 * *to);
}

std::string ShowKinds(const json& truth) {
  std::vector<std::string> texts;
  for (const char* kind : {"comply", "safe_alternative", "refuse", "other"}) {
    if (const auto count = IntAt(truth, {"kinds", kind})) texts.push_back(absl::StrCat(*count));
  }
  return texts.empty() ? kNone : absl::StrJoin(texts, " / ");
}

json WithoutAnswers(const json& evaluation) {
  json numbers = evaluation;
  numbers.erase("answers");
  return numbers;
}

void ChooseStartAndFinal(const RunRecord& record, Summary& summary) {
  const json *start = record.start_evaluation(), *final = record.final_evaluation();
  if (start != nullptr || final != nullptr) {
    if (start != nullptr) summary.start = WithoutAnswers(*start);
    if (final != nullptr) summary.final = WithoutAnswers(*final);
    summary.start_name = "start policy";
    summary.final_name =
        final == nullptr ? "no later evaluation" : absl::StrCat("step ", *IntAt(*final, {"step"}));
  } else if (!record.metrics.empty()) {
    summary.start = record.metrics.front();
    summary.final = record.metrics.back();
    summary.start_name = absl::StrCat("samples of step ", *IntAt(summary.start, {"step"}));
    summary.final_name = absl::StrCat("samples of step ", *IntAt(summary.final, {"step"}));
  }
}

// Adds a row for what `show` makes of start and final, unless neither has it.
template <typename ShowFn>
void AddRow(Summary& summary, const std::string& name, bool important, ShowFn show) {
  const SummaryRow row{name, show(summary.start), show(summary.final), important};
  if (row.start != kNone || row.final != kNone) summary.rows.push_back(row);
}

void AddTruthRows(Summary& summary) {
  const auto number = [](const char* field, Format format) {
    return [=](const json& numbers) { return Show(NumberAt(numbers, {"ground_truth", field}), format); };
  };
  AddRow(summary, "Helpfulness (0 to 3)", true, number("helpfulness", Format::kNumber));
  AddRow(summary, "Helpfulness on benign questions", false, number("helpfulness_benign", Format::kNumber));
  AddRow(summary, "Safe answers", true, [](const json& numbers) {
    return ShowRate(ObjectAt(numbers, {"ground_truth"}), "safe_rate", "safe_low", "safe_high");
  });
  AddRow(summary, "Safe on harmful questions", true, number("safe_rate_harmful", Format::kPercent));
  AddRow(summary, "Benign questions refused", false, number("refusal_rate_benign", Format::kPercent));
  AddRow(summary, "Comply / alternative / refuse / other", false,
         [](const json& numbers) { return ShowKinds(ObjectAt(numbers, {"ground_truth"})); });
}

void AddModelRows(const RunRecord& record, Summary& summary) {
  AddRow(summary, "Reward (reward model)", true,
         [](const json& numbers) { return Show(NumberAt(numbers, {"reward_mean"})); });
  for (const std::string& name : record.constraint_names()) {
    AddRow(summary, absl::StrCat("Cost (", name, ")"), false, [&](const json& numbers) {
      return Show(NumberAt(numbers, {"constraints", name, "cost_mean"}));
    });
    AddRow(summary, absl::StrCat("Violation rate (", name, ")"), true, [&](const json& numbers) {
      return ShowRate(ObjectAt(numbers, {"constraints", name}), "violation_rate", "violation_low",
                      "violation_high");
    });
  }
  AddRow(summary, "Prompts", false, [](const json& numbers) { return Show(NumberAt(numbers, {"prompts"})); });
}

const v1::Constraint* ConstraintOf(const RunRecord& record, const std::string& name) {
  if (!record.job) return nullptr;
  for (const v1::Constraint& constraint : record.job->constraints()) {
    if (constraint.name() == name) return &constraint;
  }
  return nullptr;
}

ConstraintRow ConstraintRowOf(const RunRecord& record, const std::string& name) {
  const v1::Constraint* constraint = ConstraintOf(record, name);
  const json& last = ObjectAt(record.metrics.back(), {"constraints", name});
  const std::string signal = constraint == nullptr ? "" : constraint->signal();
  const Format format = signal == "violation" ? Format::kPercent : Format::kNumber;
  const auto threshold = NumberAt(last, {"threshold"}), window = NumberAt(last, {"cost_window_mean"});
  ConstraintRow row{.name = name,
                    .signal = signal.empty() ? kNone : signal,
                    .threshold = Show(threshold, format),
                    .window_mean = Show(window, format),
                    .lambda = Show(NumberAt(last, {"lambda"})),
                    .violations = ShowRate(last, "violation_rate", "violation_low", "violation_high")};
  if (threshold && window) row.met = *window <= *threshold;
  return row;
}

void AddCategories(Summary& summary) {
  std::set<std::string> names;
  for (const json* numbers : {&summary.start, &summary.final}) {
    for (const auto& [name, value] : ObjectAt(*numbers, {"categories"}).items()) names.insert(name);
  }
  for (const std::string& name : names) {
    const json& start = ObjectAt(summary.start, {"categories", name});
    const json& final = ObjectAt(summary.final, {"categories", name});
    const json& some = final.empty() ? start : final;
    const auto count = NumberAt(some, {"prompts"});
    summary.categories.push_back(
        {.name = name,
         .prompts = Show(count ? count : NumberAt(some, {"samples"})),
         .reward_start = Show(NumberAt(start, {"reward_mean"})),
         .reward_final = Show(NumberAt(final, {"reward_mean"})),
         .violations_start = Show(NumberAt(start, {"violation_rate"}), Format::kPercent),
         .violations_final = Show(NumberAt(final, {"violation_rate"}), Format::kPercent)});
  }
}

std::string EventText(const json& event) {
  if (event.is_string()) return event.get<std::string>();
  const std::string text = TextAt(event, {"text"});
  return text.empty() ? event.dump(-1, ' ', false, json::error_handler_t::replace) : text;
}

void AddMetricEvents(const RunRecord& record, Summary& summary) {
  std::optional<int64_t> epoch;
  std::map<std::string, bool> rested;  // at the step before
  for (const json& line : record.metrics) {
    const int64_t step = *IntAt(line, {"step"});
    const auto now = IntAt(line, {"coordinator_epoch"});
    if (epoch && now && *now != *epoch)
      summary.events.push_back(
          {step, absl::StrCat("went on with coordinator epoch ", *now, ", before it was ", *epoch)});
    if (now) epoch = now;
    if (const int64_t dropped = IntAt(line, {"dropped"}).value_or(0); dropped > 0)
      summary.events.push_back({step, absl::StrCat(dropped, " samples were dropped")});
    for (const std::string& name : record.constraint_names()) {
      const json* value = Find(line, {"constraints", name, "held"});
      const bool now_held = value != nullptr && *value == true;
      if (now_held && rested.count(name) > 0 && !rested[name])
        summary.events.push_back({step, absl::StrCat("the multiplier of ", name, " began to rest")});
      rested[name] = now_held;
    }
    for (const json& event : ListAt(line, {"events"})) summary.events.push_back({step, EventText(event)});
  }
}

void AddEvents(const RunRecord& record, Summary& summary) {
  AddMetricEvents(record, summary);
  for (const LedgerEvent& event : record.ledger_events)
    summary.events.push_back({event.step, absl::StrCat(event.kind, ": ", event.text)});
  std::stable_sort(summary.events.begin(), summary.events.end(),
                   [](const Event& a, const Event& b) { return a.step < b.step; });
}

void AddFacts(const RunRecord& record, Summary& summary) {
  const auto add = [&](const char* name, std::string value) {
    if (!value.empty()) summary.facts.emplace_back(name, std::move(value));
  };
  add("State", TextAt(record.outcome, {"state"}));
  add("Error", TextAt(record.outcome, {"error"}));
  add("Steps",
      record.job ? absl::StrCat(summary.steps, " of ", record.job->steps()) : absl::StrCat(summary.steps));
  if (record.job) {
    const v1::Job& job = *record.job;
    add("Mode", job.algorithm().mode());
    add("Samples a step",
        absl::StrCat(job.data().prompts_per_step(), " prompts \xc3\x97 ", job.data().samples_per_prompt()));
    add("Seed", absl::StrCat(job.seed(), job.deterministic() ? ", deterministic" : ""));
  }
  add("Time in steps",
      absl::FormatDuration(absl::Trunc(absl::Seconds(summary.seconds_total), absl::Seconds(1))));
  if (record.policy_step) add("Policy kept", absl::StrCat("of step ", *record.policy_step));
}

}  // namespace

Summary SummaryOf(const RunRecord& record) {
  Summary summary;
  ChooseStartAndFinal(record, summary);
  if (!record.metrics.empty()) summary.steps = *IntAt(record.metrics.back(), {"step"});
  for (const json& line : record.metrics)
    summary.seconds_total += NumberAt(line, {"seconds", "total"}).value_or(0);
  AddFacts(record, summary);
  AddTruthRows(summary);
  AddModelRows(record, summary);
  if (!record.metrics.empty()) {
    for (const std::string& name : record.constraint_names())
      summary.constraints.push_back(ConstraintRowOf(record, name));
  }
  AddCategories(summary);
  AddEvents(record, summary);
  return summary;
}

json ReportJson(const RunRecord& record, const Summary& summary) {
  return {{"synthetic", record.synthetic()},
          {"job", record.name()},
          {"state", TextAt(record.outcome, {"state"})},
          {"steps", summary.steps},
          {"start", summary.start},
          {"final", summary.final},
          {"best_step", record.policy_step ? json(*record.policy_step) : json(nullptr)},
          {"seconds_total", summary.seconds_total},
          {"notes", record.notes}};
}

}  // namespace rein::report
