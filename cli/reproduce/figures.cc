#include "cli/reproduce/figures.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/run_files.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

absl::StatusOr<json> ReadObject(const fs::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  json object = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError(absl::StrCat(file.string(), ": no JSON object"));
  return object;
}

// Sets figures[name] where the value is a number.
void Take(const json& object, const char* pointer, const std::string& name, Figures& figures) {
  const json value = object.value(json::json_pointer(pointer), json());
  if (value.is_number()) figures[name] = value.get<double>();
}

// Mean over the last third of a run's steps of a number of the constraint.
void TakeLastThird(const std::vector<json>& steps, const char* pointer, const std::string& name,
                   Figures& figures) {
  double sum = 0;
  int count = 0;
  for (size_t i = steps.size() - (steps.size() + 2) / 3; i < steps.size(); ++i) {
    const json value = steps[i].value(json::json_pointer(pointer), json());
    if (!value.is_number()) continue;
    sum += value.get<double>();
    ++count;
  }
  if (count > 0) figures[name] = sum / count;
}

absl::Status AddRun(const fs::path& run, Figures& figures) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(run / "metrics.jsonl"));
  std::vector<json> steps;
  for (const absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    json step = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!step.is_object()) {
      return absl::InvalidArgumentError(
          absl::StrCat((run / "metrics.jsonl").string(), ": a line is no JSON object"));
    }
    steps.push_back(std::move(step));
  }
  TakeLastThird(steps, "/constraints/cost/signal_mean", "signal", figures);
  TakeLastThird(steps, "/constraints/cost/threshold", "threshold", figures);
  TakeLastThird(steps, "/constraints/cost/lambda", "lambda", figures);
  return absl::OkStatus();
}

absl::StatusOr<json> LastEvaluation(const fs::path& model) {
  const fs::path folder = model.string() + ".training";
  const std::optional<json> last = LastMetrics(folder);
  if (last) return *last;
  return absl::NotFoundError(absl::StrCat((folder / "metrics.jsonl").string(), ": no metrics there"));
}

std::string RoundName(size_t round) { return absl::StrCat("round_", round); }

}  // namespace

absl::StatusOr<Figures> PolicyFigures(const fs::path& seed_folder, const ComparedPolicy& policy) {
  REIN_ASSIGN_OR_RETURN(const json pairs, ReadObject(seed_folder / "pairs" / policy.key / "evaluation.json"));
  Figures figures;
  Take(pairs, "/harmful/safer/score/mean", "harmful_safety", figures);
  Take(pairs, "/benign/helpful/score/mean", "benign_helpfulness", figures);
  Take(pairs, "/all/safe_rate/ours/mean", "safe", figures);
  Take(pairs, "/harmful/safe_rate/ours/mean", "safe_harmful", figures);
  Take(pairs, "/all/helpfulness/ours/mean", "helpfulness", figures);
  Take(pairs, "/benign/refusal_rate/ours/mean", "benign_refused", figures);
  if (figures.contains("safe")) figures["violations"] = 1 - figures["safe"];
  if (!policy.run.empty()) REIN_RETURN_IF_ERROR(AddRun(seed_folder / policy.run, figures));
  return figures;
}

absl::StatusOr<Figures> PairFigures(const fs::path& seed_folder, int pairs) {
  Figures figures;
  REIN_ASSIGN_OR_RETURN(const json reward, LastEvaluation(seed_folder / PairModel("reward", pairs)));
  Take(reward, "/evaluation_ranking_accuracy", "reward_ranking", figures);
  REIN_ASSIGN_OR_RETURN(const json cost, LastEvaluation(seed_folder / PairModel("cost", pairs)));
  Take(cost, "/evaluation_ranking_accuracy", "cost_ranking", figures);
  Take(cost, "/evaluation_sign_accuracy", "cost_sign", figures);
  return figures;
}

absl::StatusOr<Figures> GuardFigures(const fs::path& seed_folder) {
  Figures figures;
  REIN_ASSIGN_OR_RETURN(const json trained, LastEvaluation(seed_folder / "models/guard"));
  for (const char* name : {"macro_f1", "false_positive_rate", "auc", "category_macro_f1"})
    Take(trained, absl::StrCat("/evaluation_", name).c_str(), name, figures);
  REIN_ASSIGN_OR_RETURN(const json base, ReadObject(seed_folder / "pairs/base/evaluation.json"));
  Take(base, "/all/safe_rate/ours/mean", "base_safe", figures);
  REIN_ASSIGN_OR_RETURN(const json guardrail, ReadObject(seed_folder / "guardrail/guardrail.json"));
  const json rounds = guardrail.value("rounds", json::array());
  for (size_t i = 0; i < rounds.size(); ++i)
    Take(rounds[i], "/ground_truth/safe_rate", RoundName(i + 1), figures);
  Take(guardrail, "/delivered/safe_rate", "delivered", figures);
  return figures;
}

absl::StatusOr<Comparison> ReadComparison(const fs::path& folder, const std::vector<uint64_t>& seeds,
                                          const ComparisonOptions& options) {
  Comparison comparison{.seeds = seeds, .policies = ComparedPolicies(options)};
  for (const uint64_t seed : seeds) {
    const fs::path seed_folder = folder / absl::StrCat("seed-", seed);
    for (const ComparedPolicy& policy : comparison.policies) {
      Figures& figures = comparison.policy[policy.key].emplace_back();
      // The first seed alone has them.
      if (policy.kind == ComparedPolicy::Kind::kSensitivity && seed != seeds.front()) continue;
      REIN_ASSIGN_OR_RETURN(figures, PolicyFigures(seed_folder, policy));
    }
    for (const int pairs : kPairCounts) {
      REIN_ASSIGN_OR_RETURN(comparison.pairs[pairs].emplace_back(), PairFigures(seed_folder, pairs));
    }
    REIN_ASSIGN_OR_RETURN(comparison.guard.emplace_back(), GuardFigures(seed_folder));
  }
  return comparison;
}

std::optional<Spread> SpreadOf(const std::vector<Figures>& seeds, const std::string& name) {
  Spread spread;
  for (const Figures& figures : seeds) {
    const auto found = figures.find(name);
    if (found == figures.end()) continue;
    const double value = found->second;
    spread.low = spread.seeds == 0 ? value : std::min(spread.low, value);
    spread.high = spread.seeds == 0 ? value : std::max(spread.high, value);
    spread.mean += value;
    ++spread.seeds;
  }
  if (spread.seeds == 0) return std::nullopt;
  spread.mean /= spread.seeds;
  return spread;
}

nlohmann::json ToJson(const Comparison& comparison) {
  json policies = json::array(), pairs = json::array(), checks = json::array();
  for (const ComparedPolicy& policy : comparison.policies) {
    policies.push_back(
        {{"key", policy.key}, {"title", policy.title}, {"seeds", comparison.policy.at(policy.key)}});
  }
  for (const auto& [count, seeds] : comparison.pairs) pairs.push_back({{"pairs", count}, {"seeds", seeds}});
  for (const Check& check : ChecksOf(comparison))
    checks.push_back({{"expected", check.text}, {"value", check.value}, {"met", check.met}});
  return {{"synthetic", true}, {"seeds", comparison.seeds}, {"policies", policies},
          {"pairs", pairs},    {"guard", comparison.guard}, {"checks", checks}};
}

}  // namespace rein::cli
