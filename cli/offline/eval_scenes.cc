// rein eval scenes: models side by side, judged by the ground truth.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/offline/scene_evaluation.h"
#include "cli/offline/verbs.h"
#include "training/guard.h"

namespace rein::cli {
namespace {

struct Flags {
  SceneEvaluationOptions options;
  std::string data, reward, cost, out;
  std::vector<std::string> models;  // NAME=DIR
};

absl::StatusOr<std::vector<NamedModel>> ParseModels(const std::vector<std::string>& texts) {
  std::vector<NamedModel> models;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
      return absl::InvalidArgumentError(
          absl::StrCat("--model '", text, "': use NAME=DIR, e.g. --model SFT=models/sft"));
    models.push_back({text.substr(0, equals), text.substr(equals + 1)});
  }
  return models;
}

absl::Status Evaluate(const Flags& flags) {
  SceneEvaluationOptions options = flags.options;
  options.data = flags.data;
  options.reward = flags.reward;
  options.cost = flags.cost;
  REIN_ASSIGN_OR_RETURN(const std::vector<NamedModel> models, ParseModels(flags.models));
  REIN_ASSIGN_OR_RETURN(const nlohmann::json evaluation, EvaluateScenes(models, options));
  printf("%s", SceneTable(evaluation).c_str());
  if (flags.out.empty()) return absl::OkStatus();
  return WriteFileAtomically(flags.out, absl::StrCat(evaluation.dump(2), "\n"));
}

}  // namespace

void AddEvalScenesVerb(CLI::App& eval, Action& action) {
  CLI::App* verb =
      eval.add_subcommand("scenes", "Greedy answers to scenes (synthetic), judged by the ground truth");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--data", flags->data, "parquet file of `rein data scenes`")->required();
  verb->add_option("--model", flags->models, "NAME=DIR; give it again for each model")
      ->required()
      ->allow_extra_args(false);
  verb->add_option("--prompts", flags->options.prompts, "from the beginning of the file; default: all")
      ->check(CLI::PositiveNumber);
  verb->add_option("--max-tokens", flags->options.max_tokens, "longest answer; default 16")
      ->check(CLI::PositiveNumber);
  verb->add_option("--reward", flags->reward, "reward model whose mean is shown as well");
  verb->add_option("--cost", flags->cost, "cost model whose mean and violation rate are shown as well");
  verb->add_option("--out", flags->out, "JSON file to write");
  verb->callback(
      [&action, flags] { action = [flags] { return training::Guarded([&] { return Evaluate(*flags); }); }; });
}

}  // namespace rein::cli
