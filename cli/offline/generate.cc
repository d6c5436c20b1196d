// rein generate: one answer of a policy, as text; inside the guardrail where a guard is given.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/offline/generation.h"
#include "cli/offline/guard_flags.h"
#include "cli/offline/policy_generator.h"
#include "training/guard.h"

namespace rein::cli {
namespace {

// Where --max-tokens is not given and the model's positions allow it.
constexpr int64_t kUsualLength = 512;

struct Flags {
  std::string model, prompt;
  std::string dtype = "float32";
  std::vector<std::string> images;
  bool greedy = false;
  int64_t max_tokens = 0;
  rollout::SamplingParams params;
  GuardFlags guard;
  RoundFlags rounds;
};

void ShowVerdict(const std::string& what, const guard::Verdict& verdict) {
  fprintf(stderr, "%s: %s\n", what.c_str(), guard::VerdictText(verdict).c_str());
}

absl::Status GenerateGuarded(const Flags& flags, rollout::SamplingParams params) {
  GuardFlags guard_flags = flags.guard;
  guard_flags.dtype = flags.dtype;
  REIN_ASSIGN_OR_RETURN(const guard::GuardrailOptions options, ToGuardrailOptions(flags.rounds, params));
  REIN_ASSIGN_OR_RETURN(const guard::Question question, ReadQuestion(flags.prompt, flags.images));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<guard::GuardModel> guard, LoadGuard(guard_flags));
  REIN_ASSIGN_OR_RETURN(const ModelFolder policy, LoadModelFolder(flags.model, flags.dtype));
  params.max_response_tokens = flags.max_tokens > 0 ? flags.max_tokens : UsualAnswerTokens(*policy.model);
  PolicyGenerator generator(policy, params);
  REIN_ASSIGN_OR_RETURN(const std::vector<guard::Record> records,
                        guard::RunGuardrail(options, {&question, 1}, generator, *guard, [](int, int64_t) {}));
  const guard::Record& record = records[0];
  ShowVerdict("question", record.question);
  for (size_t i = 0; i < record.rounds.size(); ++i)
    ShowVerdict(absl::StrCat("round ", i + 1), record.rounds[i].verdict);
  printf("%s\n", record.answer.c_str());
  return absl::OkStatus();
}

absl::Status Generate(const Flags& flags) {
  rollout::SamplingParams params = flags.params;
  if (flags.greedy) params.temperature = 0;
  if (!flags.guard.folder.empty()) return GenerateGuarded(flags, params);
  REIN_ASSIGN_OR_RETURN(const ModelFolder folder, LoadModelFolder(flags.model, flags.dtype));
  Prompt prompt;
  REIN_ASSIGN_OR_RETURN(prompt.images, ReadPictures(*folder.processor, flags.images));
  REIN_ASSIGN_OR_RETURN(prompt.tokens, folder.processor->EncodePrompt(flags.prompt, prompt.images));
  const int64_t room = folder.model->shape().max_positions - static_cast<int64_t>(prompt.tokens.size());
  params.max_response_tokens =
      flags.max_tokens > 0 ? flags.max_tokens : std::clamp(room, int64_t{1}, kUsualLength);
  REIN_ASSIGN_OR_RETURN(const std::vector<GeneratedText> texts, GenerateTexts(folder, {prompt}, params));
  printf("%s\n", texts[0].text.c_str());
  return absl::OkStatus();
}

}  // namespace

void AddGenerateCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.add_subcommand("generate", "Answer a prompt, with or without pictures");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--model", flags->model, "model folder")->required();
  verb->add_option("--prompt", flags->prompt, "the question")->required();
  verb->add_option("--image", flags->images, "a picture: PNG, JPEG or WebP; may be given several times")
      ->allow_extra_args(false);
  verb->add_option("--dtype", flags->dtype, "of weights: float32 (default), bfloat16, float16");
  verb->add_flag("--greedy", flags->greedy, "take the likeliest token each time; same as --temperature 0");
  verb->add_option("--temperature", flags->params.temperature, "0: greedy; default 1")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--max-tokens", flags->max_tokens, "longest answer; default: 512 or what the model takes")
      ->check(CLI::PositiveNumber);
  verb->add_option("--seed", flags->params.seed, "of the random numbers; default 1");
  verb->add_option("--top-p", flags->params.top_p, "smallest set of tokens with this share; default 1: all")
      ->check(CLI::Range(0.0, 1.0));
  verb->add_option("--top-k", flags->params.top_k, "the likeliest tokens only; default 0: all")
      ->check(CLI::NonNegativeNumber);
  CLI::Option* const guard = AddGuardFlags(*verb, flags->guard);
  guard->description(
      "folder of a guard (rein train guard): its guardrail goes around the answer, verdicts to standard "
      "error");
  AddRoundFlags(*verb, flags->rounds, guard);
  verb->callback(
      [&action, flags] { action = [flags] { return training::Guarded([&] { return Generate(*flags); }); }; });
}

}  // namespace rein::cli
