#include "cli/reproduce/report.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "cli/report/page.h"

namespace rein::cli {
namespace {

using Kind = ComparedPolicy::Kind;

// "0.83 (0.81 to 0.86)" over several seeds, "0.83" of one, "-" of none.
std::string SpreadText(const std::vector<Figures>& seeds, const std::string& name, int digits = 2) {
  const std::optional<Spread> spread = SpreadOf(seeds, name);
  if (!spread) return "-";
  const std::string mean = absl::StrFormat("%.*f", digits, spread->mean);
  if (spread->seeds == 1) return mean;
  return absl::StrFormat("%s (%.*f to %.*f)", mean, digits, spread->low, digits, spread->high);
}

std::vector<std::string> RowOf(const std::string& title, const std::vector<Figures>& seeds,
                               const std::vector<std::string>& names, int digits = 2) {
  std::vector<std::string> row = {title};
  for (const std::string& name : names) row.push_back(SpreadText(seeds, name, digits));
  return row;
}

TextTable Expected(const Comparison& comparison) {
  TextTable table{"Expected figures", {"figure", "value", "met"}, {}};
  for (const Check& check : ChecksOf(comparison))
    table.rows.push_back({check.text, check.value, check.met ? "yes" : "no"});
  return table;
}

TextTable Policies(const Comparison& comparison) {
  TextTable table{"Policies, judged by the ground truth",
                  {"policy", "safety on harmful questions against the base",
                   "helpfulness on benign ones against the base", "safe answers", "safe on harmful questions",
                   "helpfulness, 0 to 3", "benign refused"},
                  {}};
  for (const ComparedPolicy& policy : comparison.policies) {
    if (policy.kind == Kind::kSensitivity) continue;
    table.rows.push_back(RowOf(
        policy.title, comparison.policy.at(policy.key),
        {"harmful_safety", "benign_helpfulness", "safe", "safe_harmful", "helpfulness", "benign_refused"}));
  }
  return table;
}

TextTable Constraint(const Comparison& comparison, const std::string& title, bool sensitivity) {
  TextTable table{title,
                  {"policy", "threshold", "mean cost signal, last third of the steps", "lambda, last third",
                   "unsafe answers, ground truth", "helpfulness, 0 to 3"},
                  {}};
  for (const ComparedPolicy& policy : comparison.policies) {
    if (policy.run.empty() || (policy.kind == Kind::kSensitivity) != sensitivity) continue;
    table.rows.push_back(RowOf(policy.title, comparison.policy.at(policy.key),
                               {"threshold", "signal", "lambda", "violations", "helpfulness"}, 3));
  }
  return table;
}

TextTable Models(const Comparison& comparison) {
  TextTable table{"Reward and cost models, accuracy on held-out pairs",
                  {"pairs", "reward, ranking", "cost, ranking", "cost, sign"},
                  {}};
  for (const auto& [pairs, seeds] : comparison.pairs) {
    table.rows.push_back(
        RowOf(absl::StrCat(pairs), seeds, {"reward_ranking", "cost_ranking", "cost_sign"}, 3));
  }
  return table;
}

TextTable Guard(const Comparison& comparison) {
  TextTable table{
      "Guard on held-out rows", {"macro F1", "false-positive rate", "AUC", "macro F1 of categories"}, {}};
  std::vector<std::string> row =
      RowOf("", comparison.guard, {"macro_f1", "false_positive_rate", "auc", "category_macro_f1"}, 3);
  row.erase(row.begin());
  table.rows.push_back(row);
  return table;
}

TextTable Rounds(const Comparison& comparison) {
  TextTable table{
      "Guardrail around the base, safe answers by the ground truth", {"after", "safe answers"}, {}};
  table.rows.push_back({"no guard", SpreadText(comparison.guard, "base_safe", 3)});
  for (int round = 1; SpreadOf(comparison.guard, absl::StrCat("round_", round)); ++round) {
    table.rows.push_back(
        {absl::StrCat("round ", round), SpreadText(comparison.guard, absl::StrCat("round_", round), 3)});
  }
  table.rows.push_back({"delivered", SpreadText(comparison.guard, "delivered", 3)});
  return table;
}

report::IntervalChart ChartOf(const Comparison& comparison, const std::string& name, const std::string& title,
                              const std::string& below) {
  report::IntervalChart chart{.head = {name, title, below, report::Format::kPercent}};
  for (const ComparedPolicy& policy : comparison.policies) {
    if (policy.kind == Kind::kSensitivity) continue;
    const std::optional<Spread> spread = SpreadOf(comparison.policy.at(policy.key), name);
    if (spread) chart.rows.push_back({policy.title, spread->mean, spread->low, spread->high});
  }
  return chart;
}

constexpr char kNote[] =
    "Figures are means over the seeds, with the smallest and the largest in brackets. A score is "
    "(wins + ties / 2) / all.";

std::string Html(const std::string& title, const Facts& facts, const Comparison& comparison) {
  const std::string below = "score against the base; 50 % is even";
  const std::string charts =
      report::Charts({ChartOf(comparison, "harmful_safety", "Safety on harmful questions", below),
                      ChartOf(comparison, "benign_helpfulness", "Helpfulness on benign questions", below)});
  return report::Page(
      {title, /*synthetic=*/true, facts},
      absl::StrCat(report::Section("Against the base", charts), TablesHtml(TablesOf(comparison))),
      absl::StrCat("Written by rein eval reproduce. ", kNote));
}

}  // namespace

std::vector<TextTable> TablesOf(const Comparison& comparison) {
  std::vector<TextTable> tables = {Expected(comparison),
                                   Policies(comparison),
                                   Constraint(comparison, "Constraint", false),
                                   Constraint(comparison, "Sensitivity", true),
                                   Models(comparison),
                                   Guard(comparison),
                                   Rounds(comparison)};
  DropEmpty(tables);
  return tables;
}

absl::Status WriteComparison(const Comparison& comparison, const std::filesystem::path& folder) {
  const Facts facts = {{"seeds", absl::StrJoin(comparison.seeds, ", ")},
                       {"data", "scenes: synthetic; 500 held-out questions a seed"}};
  const std::vector<TextTable> tables = TablesOf(comparison);
  const std::string title = "The paper's comparison on scenes";
  return WriteReport(folder, "reproduce", ToJson(comparison),
                     Markdown(title, /*synthetic=*/true, facts, tables, kNote),
                     Html(title, facts, comparison));
}

}  // namespace rein::cli
