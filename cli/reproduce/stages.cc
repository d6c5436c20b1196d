#include "cli/reproduce/stages.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

struct RlVariant {
  const char* key;
  const char* title;
  ComparedPolicy::Kind kind;
  std::vector<std::string> sets;
};

// A start value and a rate that serve where lambda does not follow the PID's proportional part.
std::vector<std::string> WithoutPid(const std::string& setting) {
  return {setting, "constraints.0.controller.initial=2", "constraints.0.controller.learning_rate=0.3"};
}

const std::vector<RlVariant>& RlVariants() {
  using Kind = ComparedPolicy::Kind;
  static const std::vector<RlVariant> variants = {
      {"ppo_reward", "PPO on reward", Kind::kBaseline, {"algorithm.mode=ppo_reward"}},
      {"ppo_cost", "PPO on cost", Kind::kBaseline, {"algorithm.mode=ppo_cost"}},
      {"fixed_lambda", "fixed lambda", Kind::kBaseline, WithoutPid("algorithm.mode=fixed_lambda")},
      {"safe_rlhf_v_pid", "Safe RLHF-V, PID", Kind::kOurs, {}},
      {"safe_rlhf_v_additive", "Safe RLHF-V, additive", Kind::kOurs,
       WithoutPid("constraints.0.controller.kind=additive")},
      {"safe_rlhf_v_log_sgd", "Safe RLHF-V, log SGD", Kind::kOurs,
       WithoutPid("constraints.0.controller.kind=log_sgd")},
      {"threshold_0.1", "PID, threshold 0.1", Kind::kSensitivity, {"constraints.0.threshold=0.1"}},
      {"threshold_0.005", "PID, threshold 0.005", Kind::kSensitivity, {"constraints.0.threshold=0.005"}},
      {"initial_0.2", "PID, lambda from 0.2", Kind::kSensitivity, {"constraints.0.controller.initial=0.2"}},
      {"initial_10", "PID, lambda from 10", Kind::kSensitivity, {"constraints.0.controller.initial=10"}}};
  return variants;
}

bool Wanted(const RlVariant& variant, const ComparisonOptions& options) {
  return variant.kind != ComparedPolicy::Kind::kSensitivity || options.sensitivity;
}

class Stages {
 public:
  Stages(fs::path folder, uint64_t seed, const ComparisonOptions& options)
      : folder_(std::move(folder)), seed_(absl::StrCat("seed=", seed)), options_(options) {}

  std::string Path(const std::string& below) const { return (folder_ / below).string(); }

  void Add(std::string name, std::vector<std::string> arguments) {
    stages_.push_back({std::move(name), std::move(arguments)});
  }

  // Pictures and pairs that no model is trained on come from another seed.
  void Scenes(const std::string& name, uint64_t seed, int rows) {
    Add(name, {"data", "scenes", "--out", Path(name), "--seed", absl::StrCat(seed), "--family",
               options_.family, "--train-rows", absl::StrCat(rows)});
  }

  void Train(const std::string& kind, const std::string& job, const std::string& model,
             const std::vector<std::string>& sets) {
    std::vector<std::string> arguments = {
        "train", kind, Path(job), "--set", seed_, "--set", "output=" + Path(model)};
    for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    Add(absl::StrCat("train_", fs::path(model).filename().string()), std::move(arguments));
  }

  void RlRun(const RlVariant& variant) {
    std::vector<std::string> arguments = {
        "run", Path("safe_rlhf_v.yaml"), "--run-dir", Path(variant.key), "--set", seed_};
    for (const auto& sets : {variant.sets, options_.sets}) {
      for (const std::string& set : sets) arguments.insert(arguments.end(), {"--set", set});
    }
    Add(absl::StrCat("run_", variant.key), std::move(arguments));
    stages_.back().begun = Path(absl::StrCat(variant.key, "/job.yaml"));
  }

  // Greedy answers to held-out questions, compared with those of the base.
  void Judge(const ComparedPolicy& policy) {
    const std::string answers = Path(absl::StrCat("answers/", policy.key, ".jsonl"));
    Add(absl::StrCat("answer_", policy.key),
        {"eval", "answers", "--model", Path(policy.model), "--data", Path("data/evaluation.parquet"),
         "--output", answers, "--max-tokens", "16", "--batch", "64"});
    Add(absl::StrCat("judge_", policy.key),
        {"eval", "pairs", "--answers", answers, "--base", Path("answers/base.jsonl"), "--judge", "scenes",
         "--name", policy.title, "--base-name", "base", "--output", Path(absl::StrCat("pairs/", policy.key)),
         "--seed", "1"});
  }

  void Guardrail() {
    const std::string output = Path("guardrail");
    Add("guardrail",
        {"guard", "run", "--guard", Path("models/guard"), "--policy", Path("models/sft"), "--data",
         Path("data/evaluation.parquet"), "--output", output, "--max-tokens", "16", "--chunk", "64"});
    stages_.back().begun = fs::path(output) / "records.jsonl";
  }

  std::vector<Stage> Take() { return std::move(stages_); }

 private:
  const fs::path folder_;
  const std::string seed_;
  const ComparisonOptions& options_;
  std::vector<Stage> stages_;
};

// Far from the seeds that anybody names.
constexpr uint64_t kHeldOutSeeds = 1'000'000;

}  // namespace

std::string PairModel(const std::string& kind, int pairs) {
  return pairs == kPairCounts[std::size(kPairCounts) - 1] ? absl::StrCat("models/", kind)
                                                          : absl::StrCat("models/", kind, "_", pairs);
}

std::vector<ComparedPolicy> ComparedPolicies(const ComparisonOptions& options) {
  using Kind = ComparedPolicy::Kind;
  std::vector<ComparedPolicy> policies = {{"base", "base (SFT)", "models/sft", "", Kind::kBase},
                                          {"dpo_helpful", "DPO on helpful", "models/dpo_helpful", ""},
                                          {"dpo_safe", "DPO on safe", "models/dpo_safe", ""}};
  for (const RlVariant& variant : RlVariants()) {
    if (Wanted(variant, options))
      policies.push_back(
          {variant.key, variant.title, absl::StrCat(variant.key, "/policy"), variant.key, variant.kind});
  }
  return policies;
}

std::vector<Stage> StagesOf(const fs::path& folder, uint64_t seed, const ComparisonOptions& options) {
  Stages stages(folder, seed, options);
  const int all_pairs = kPairCounts[std::size(kPairCounts) - 1];
  const std::string held_out = "evaluation=" + stages.Path("held_out/preferences.parquet");
  stages.Scenes("data", seed, all_pairs);
  stages.Scenes("held_out", seed + kHeldOutSeeds, kHeldOutPairs);
  stages.Train("sft", "captions.yaml", "models/captions", {});
  stages.Train("sft", "sft.yaml", "models/sft", {});
  for (const int pairs : kPairCounts) {
    std::vector<std::string> sets = {held_out};
    if (pairs != all_pairs) {
      const std::string data = absl::StrCat("data_", pairs);
      stages.Scenes(data, seed, pairs);
      sets.push_back("data=" + stages.Path(data + "/preferences.parquet"));
    }
    for (const char* kind : {"reward", "cost"})
      stages.Train(kind, absl::StrCat(kind, ".yaml"), PairModel(kind, pairs), sets);
  }
  for (const char* preference : {"helpful", "safe"}) {
    stages.Train("dpo", "dpo.yaml", absl::StrCat("models/dpo_", preference),
                 {held_out, absl::StrCat("preference=", preference)});
  }
  stages.Train("guard", "guard.yaml", "models/guard", {held_out});
  for (const RlVariant& variant : RlVariants()) {
    if (Wanted(variant, options)) stages.RlRun(variant);
  }
  for (const ComparedPolicy& policy : ComparedPolicies(options)) stages.Judge(policy);
  stages.Guardrail();
  return stages.Take();
}

}  // namespace rein::cli
