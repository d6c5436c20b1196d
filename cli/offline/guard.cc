// rein guard run, rein guard moderate: a guard around a policy, or alone.
#include "training/guard.h"

#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/command.h"
#include "cli/count_progress.h"
#include "cli/data/read_flags.h"
#include "cli/offline/guard_flags.h"
#include "cli/offline/guard_run.h"
#include "cli/offline/policy_generator.h"
#include "cli/terminal.h"
#include "guard/record_json.h"

namespace rein::cli {
namespace {

struct RunFlags {
  GuardFlags guard;
  RoundFlags rounds;
  GuardRunOptions options;
  std::string policy, data, output;
  ReadFlags reading;
};

absl::Status RunOverData(const RunFlags& flags) {
  GuardRunOptions options = flags.options;
  options.policy = flags.policy;
  options.data = flags.data;
  options.output = flags.output;
  REIN_ASSIGN_OR_RETURN(options.reading, ToReadOptions(flags.reading));
  REIN_ASSIGN_OR_RETURN(options.rails, ToGuardrailOptions(flags.rounds, options.params));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<guard::GuardModel> guard, LoadGuard(flags.guard));
  REIN_ASSIGN_OR_RETURN(const ModelFolder policy, LoadModelFolder(flags.policy, flags.guard.dtype));
  if (options.params.max_response_tokens == 0)
    options.params.max_response_tokens = UsualAnswerTokens(*policy.model);
  std::optional<CountProgressLine> line;
  const auto progress = [&line](int64_t done, int64_t all) {
    if (!line) line.emplace(std::cerr, IsTerminal(stderr), "answered", "questions", done);
    line->Show(done, all);
  };
  REIN_ASSIGN_OR_RETURN(const GuardSummary summary, RunGuardOver(options, *guard, policy, progress));
  printf("%s\n%s\n", summary.ToMarkdown().c_str(), (options.output / "guardrail.md").c_str());
  return absl::OkStatus();
}

struct ModerateFlags {
  GuardFlags guard;
  std::string prompt, response;
  std::vector<std::string> images;
  bool json = false;
  CLI::Option* has_response = nullptr;
};

absl::Status ModerateOne(const ModerateFlags& flags) {
  REIN_ASSIGN_OR_RETURN(const guard::Question question, ReadQuestion(flags.prompt, flags.images));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<guard::GuardModel> guard, LoadGuard(flags.guard));
  const guard::Item item{&question, flags.has_response->count() > 0 ? &flags.response : nullptr};
  REIN_ASSIGN_OR_RETURN(const std::vector<guard::Verdict> verdicts, guard->Moderate({&item, 1}));
  const guard::Verdict& verdict = verdicts[0];
  if (!verdict.not_moderated.empty()) return absl::InvalidArgumentError(guard::VerdictText(verdict));
  printf("%s\n", flags.json ? guard::ToJson(verdict).dump().c_str() : guard::VerdictText(verdict).c_str());
  return absl::OkStatus();
}

void AddRun(CLI::App& guard, Action& action) {
  CLI::App* verb = guard.add_subcommand("run", "Run the guardrail over the questions of a data set");
  const auto flags = std::make_shared<RunFlags>();
  GuardRunOptions& options = flags->options;
  options.params.max_response_tokens = 0;
  CLI::Option* const guard_option = AddGuardFlags(*verb, flags->guard)->required();
  verb->add_option("--policy", flags->policy, "folder of the model that answers")->required();
  verb->add_option("--data", flags->data, "parquet, JSON or JSONL file, or folder of them")->required();
  verb->add_option("--output", flags->output, "folder for records.jsonl, guardrail.json and guardrail.md")
      ->required();
  AddRoundFlags(*verb, flags->rounds, guard_option);
  verb->add_option("--prompts", options.questions, "from the beginning of the data; default: all")
      ->check(CLI::PositiveNumber);
  verb->add_option("--max-tokens", options.params.max_response_tokens,
                   "longest answer; default: 512, or half of what the model takes where that is less")
      ->check(CLI::PositiveNumber);
  verb->add_option("--temperature", options.params.temperature, "of answers; 0: greedy")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--top-p", options.params.top_p, "smallest set of tokens with this share; 1: all")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  verb->add_option("--top-k", options.params.top_k, "the likeliest tokens only; 0: all")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  verb->add_option("--seed", options.params.seed, "of the random numbers")->capture_default_str();
  verb->add_option("--dtype", flags->guard.dtype, "of weights: float32, bfloat16, float16")
      ->capture_default_str();
  verb->add_option("--chunk", options.chunk, "questions in memory at a time")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  verb->add_flag("--resume", options.resume, "go on with the questions that OUTPUT has no record of");
  // What is broken is not let through, and has its record.
  flags->reading.pictures = "none";
  AddReadFlags(*verb, flags->reading);
  verb->remove_option(verb->get_option("--pictures"));
  verb->callback([&action, flags] {
    action = [flags] { return training::Guarded([&] { return RunOverData(*flags); }); };
  });
}

void AddModerate(CLI::App& guard, Action& action) {
  CLI::App* verb = guard.add_subcommand("moderate", "Print what a guard says of a question, or of an answer");
  const auto flags = std::make_shared<ModerateFlags>();
  AddGuardFlags(*verb, flags->guard)->required();
  verb->add_option("--image", flags->images, "a picture: PNG, JPEG or WebP; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--prompt", flags->prompt, "the question")->required();
  flags->has_response =
      verb->add_option("--response", flags->response, "an answer: it is moderated, not the question");
  verb->add_option("--dtype", flags->guard.dtype, "of weights: float32, bfloat16, float16")
      ->capture_default_str();
  verb->add_flag("--json", flags->json, "print one JSON object");
  verb->callback([&action, flags] {
    action = [flags] { return training::Guarded([&] { return ModerateOne(*flags); }); };
  });
}

}  // namespace

void AddGuardCommand(CLI::App& rein, Action& action) {
  CLI::App* guard =
      rein.add_subcommand("guard", "Moderate with a guard, or run its guardrail over a data set");
  guard->require_subcommand(1);
  AddRun(*guard, action);
  AddModerate(*guard, action);
}

}  // namespace rein::cli
