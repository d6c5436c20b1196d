// The tables of answers judged by themselves: declared in answer_report.h.
#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "cli/evaluation/answer_report.h"

namespace rein::cli {
namespace {

using evaluation::AnswerGroup;
using evaluation::AnswerSummary;
using evaluation::Estimate;

// What is shown of a group of answers.
struct Measure {
  const char* name;
  std::optional<Estimate> AnswerGroup::*estimate;
  bool percent;
  bool of_judge;  // nothing new where the judge goes by scores
};

constexpr Measure kSafe = {"safe answers", &AnswerGroup::safe_rate, true, false};
constexpr Measure kViolations = {"violations (cost over 0)", &AnswerGroup::violation_rate, true, false};
constexpr Measure kRefusals = {"refusals", &AnswerGroup::refusal_rate, true, false};
constexpr Measure kHelpful = {"helpfulness (0 to 3)", &AnswerGroup::helpfulness, false, true};
constexpr Measure kHarmless = {"harmlessness (-3 to 3)", &AnswerGroup::harmlessness, false, true};
constexpr Measure kReward = {"reward", &AnswerGroup::reward, false, false};
constexpr Measure kCost = {"cost", &AnswerGroup::cost, false, false};
constexpr Measure kCut = {"cut at the longest length", &AnswerGroup::cut_rate, true, false};

// A row of the table of all measures: a measure of one of the three large groups.
struct Line {
  Measure measure;
  AnswerGroup AnswerSummary::*group;
  const char* suffix;
};

constexpr Line kLines[] = {{kSafe, &AnswerSummary::all, ""},
                           {kSafe, &AnswerSummary::harmful, " to harmful questions"},
                           {kViolations, &AnswerSummary::all, ""},
                           {kViolations, &AnswerSummary::harmful, ", harmful questions"},
                           {kRefusals, &AnswerSummary::benign, " of benign questions"},
                           {kRefusals, &AnswerSummary::harmful, " of harmful questions"},
                           {kHelpful, &AnswerSummary::all, ""},
                           {kHelpful, &AnswerSummary::benign, ", benign questions"},
                           {kHarmless, &AnswerSummary::all, ""},
                           {kReward, &AnswerSummary::all, ""},
                           {kCost, &AnswerSummary::all, ""},
                           {kCut, &AnswerSummary::all, ""}};

TextTable MeasureTable(const AnswerReport& report) {
  TextTable table{"Measures", {""}, {}};
  for (const ModelAnswers& model : report.models) table.head.push_back(model.name);
  for (const Line& line : kLines) {
    if (line.measure.of_judge && IsByScores(report.judge)) continue;
    std::vector<std::string> row = {absl::StrCat(line.measure.name, line.suffix)};
    bool known = false;
    for (const ModelAnswers& model : report.models) {
      const std::optional<Estimate>& estimate = model.summary.*(line.group).*(line.measure.estimate);
      known = known || estimate.has_value();
      row.push_back(EstimateText(estimate, line.measure.percent));
    }
    if (known) table.rows.push_back(std::move(row));
  }
  return table;
}

using Groups = std::vector<AnswerGroup> AnswerSummary::*;

// Those that are known of any group, in the order of the table.
std::vector<Measure> KnownMeasures(const AnswerReport& report, Groups groups) {
  std::vector<Measure> known;
  for (const Measure& measure : {kSafe, kViolations, kRefusals, kHelpful, kHarmless, kReward, kCost}) {
    if (measure.of_judge && IsByScores(report.judge)) continue;
    const auto is_known = [&](const AnswerGroup& group) { return (group.*(measure.estimate)).has_value(); };
    const auto knows = [&](const ModelAnswers& model) {
      const std::vector<AnswerGroup>& all = model.summary.*groups;
      return std::any_of(all.begin(), all.end(), is_known);
    };
    if (std::any_of(report.models.begin(), report.models.end(), knows)) known.push_back(measure);
  }
  return known;
}

// One row a group and model, groups in the order of their names.
TextTable GroupTable(const std::string& title, const std::string& what, const AnswerReport& report,
                     Groups groups) {
  const bool several = report.models.size() > 1;
  const std::vector<Measure> measures = KnownMeasures(report, groups);
  TextTable table{title, {what}, {}};
  if (several) table.head.push_back("model");
  table.head.insert(table.head.end(), {"answers", "judged"});
  for (const Measure& measure : measures) table.head.push_back(measure.name);
  std::set<std::string> names;
  for (const ModelAnswers& model : report.models) {
    for (const AnswerGroup& group : model.summary.*groups) names.insert(group.name);
  }
  for (const std::string& name : names) {
    for (const ModelAnswers& model : report.models) {
      const std::vector<AnswerGroup>& all = model.summary.*groups;
      const auto group =
          std::find_if(all.begin(), all.end(), [&](const AnswerGroup& some) { return some.name == name; });
      if (group == all.end()) continue;
      std::vector<std::string>& row = table.rows.emplace_back(std::vector<std::string>{name});
      if (several) row.push_back(model.name);
      row.insert(row.end(), {absl::StrCat(group->answers), absl::StrCat(group->judged)});
      for (const Measure& measure : measures)
        row.push_back(EstimateText((*group).*(measure.estimate), measure.percent));
    }
  }
  return table;
}

TextTable ProblemTable(const AnswerReport& report) {
  TextTable table{"Left out", {"why", "number"}, {}};
  for (const ModelAnswers& model : report.models) {
    const std::string of = report.models.size() > 1 ? absl::StrCat(" of ", model.name) : "";
    for (const auto& [why, count] : model.dropped)
      table.rows.push_back({absl::StrCat("rows", of, ": ", why), absl::StrCat(count)});
    for (const auto& [why, count] : model.summary.unjudged.problems)
      table.rows.push_back({absl::StrCat("judgements", of, ": ", why), absl::StrCat(count)});
  }
  return table;
}

}  // namespace

Facts FactsOf(const AnswerReport& report) {
  Facts facts = {{"judge", JudgeText(report.judge)}};
  for (const ModelAnswers& model : report.models) {
    const AnswerSummary& summary = model.summary;
    std::string counts = absl::StrCat(summary.all.judged, " of ", summary.all.answers, " judged");
    if (summary.unjudged.unparsable > 0)
      absl::StrAppend(&counts, ", ", summary.unjudged.unparsable, " unparsable");
    if (summary.unjudged.failed > 0) absl::StrAppend(&counts, ", ", summary.unjudged.failed, " failed");
    facts.emplace_back(absl::StrCat("answers of ", model.name), counts);
  }
  return facts;
}

std::vector<TextTable> TablesOf(const AnswerReport& report) {
  std::vector<TextTable> tables = {
      MeasureTable(report), GroupTable("Categories", "category", report, &AnswerSummary::categories),
      GroupTable("Severities", "severity", report, &AnswerSummary::severities), ProblemTable(report)};
  DropEmpty(tables);
  return tables;
}

}  // namespace rein::cli
