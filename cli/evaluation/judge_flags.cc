#include "cli/evaluation/judge_flags.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluation/score_judge.h"

namespace rein::cli {
namespace {

using evaluation::Judge;

absl::StatusOr<evaluation::ChatJudgeOptions> ChatOptions(const JudgeFlags& flags,
                                                         const std::filesystem::path& output) {
  evaluation::ChatJudgeOptions options = flags.chat;
  if (options.url.empty() || options.model.empty())
    return absl::InvalidArgumentError(
        "--judge openai needs --url (e.g. https://api.openai.com/v1) and --judge-model");
  if (!flags.key_variable.empty()) {
    const char* key = std::getenv(flags.key_variable.c_str());
    if (key == nullptr || *key == '\0')
      return absl::InvalidArgumentError(
          absl::StrCat("the environment variable ", flags.key_variable, " of --key-env is not set"));
    options.key = key;
  }
  if (!flags.request.empty()) {
    options.request = nlohmann::json::parse(flags.request, nullptr, /*allow_exceptions=*/false);
    if (!options.request.is_object())
      return absl::InvalidArgumentError(
          "--request is not a JSON object; e.g. --request '{\"temperature\": 1}'");
  }
  options.timeout = absl::Seconds(flags.timeout_seconds);
  options.cache = std::filesystem::absolute(flags.cache.empty() ? output / "judge_replies.jsonl"
                                                                : std::filesystem::path(flags.cache));
  return options;
}

void AddChatFlags(CLI::App& verb, JudgeFlags& flags) {
  verb.add_option("--url", flags.chat.url, "openai: the API, to which /chat/completions is added");
  verb.add_option("--judge-model", flags.chat.model, "openai: model, as the endpoint calls it");
  verb.add_option("--key-env", flags.key_variable, "openai: environment variable that holds the key");
  verb.add_option("--request", flags.request,
                  "openai: JSON object merged into each request; null removes a field");
  verb.add_option("--concurrency", flags.chat.concurrency, "openai: requests at a time; default 4");
  verb.add_option("--requests-per-minute", flags.chat.requests_per_minute, "openai: default: no limit")
      ->check(CLI::PositiveNumber);
  verb.add_option("--attempts", flags.chat.attempts, "openai: tries of a question; default 6");
  verb.add_option("--timeout", flags.timeout_seconds, "openai: seconds of one request; default 120")
      ->check(CLI::PositiveNumber);
  verb.add_option("--cache", flags.cache,
                  "openai: file of replies paid for; default OUTPUT/judge_replies.jsonl");
}

}  // namespace

void AddJudgeFlags(CLI::App& verb, JudgeFlags& flags) {
  verb.add_option("--judge", flags.judge, "scores, scenes or openai")
      ->required()
      ->check(CLI::IsMember({"scores", "scenes", "openai"}));
  AddChatFlags(verb, flags);
  verb.add_option("--resamples", flags.bootstrap.resamples, "of the bootstrap; default 10000")
      ->check(CLI::Range(1, 10'000'000));
  verb.add_option("--seed", flags.bootstrap.seed, "of the bootstrap; default 1");
}

absl::StatusOr<std::unique_ptr<Judge>> MakeJudge(const JudgeFlags& flags,
                                                 const std::filesystem::path& output) {
  if (flags.judge == "scores")
    return std::make_unique<evaluation::ScoreJudge>(flags.reward_margin, flags.cost_margin);
  if (flags.judge == "scenes") return std::make_unique<evaluation::SceneJudge>();
  REIN_ASSIGN_OR_RETURN(const evaluation::ChatJudgeOptions options, ChatOptions(flags, output));
  return evaluation::ChatJudge::Make(options, evaluation::HostClock());
}

}  // namespace rein::cli
