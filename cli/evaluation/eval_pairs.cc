// rein eval pairs: the answers of two models to the same questions, compared by a judge.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/evaluation/pair_report.h"
#include "cli/evaluation/pair_tables.h"
#include "cli/terminal.h"
#include "evaluation/chat_judge.h"
#include "evaluation/score_judge.h"

namespace rein::cli {
namespace {

using evaluation::AnswerFile;
using evaluation::Judge;

struct Flags {
  std::string answers, base, output, images;
  std::string ours_name, base_name;
  std::string judge;
  double reward_margin = 0, cost_margin = 0;
  evaluation::ChatJudgeOptions chat;
  std::string key_variable, request, cache;
  double timeout_seconds = 120;
  evaluation::BootstrapOptions bootstrap;
  size_t examples = 24;
};

absl::StatusOr<evaluation::ChatJudgeOptions> ChatOptions(const Flags& flags) {
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
  const std::filesystem::path file = flags.cache.empty()
                                         ? std::filesystem::path(flags.output) / "judge_replies.jsonl"
                                         : std::filesystem::path(flags.cache);
  options.cache = std::filesystem::absolute(file);
  return options;
}

absl::StatusOr<std::unique_ptr<Judge>> MakeJudge(const Flags& flags) {
  if (flags.judge == "scores")
    return std::make_unique<evaluation::ScoreJudge>(flags.reward_margin, flags.cost_margin);
  if (flags.judge == "scenes") return std::make_unique<evaluation::SceneJudge>();
  REIN_ASSIGN_OR_RETURN(const evaluation::ChatJudgeOptions options, ChatOptions(flags));
  return evaluation::ChatJudge::Make(options, evaluation::HostClock());
}

// Of the file, where no name is given.
std::string NameOf(const std::string& name, const std::string& file) {
  return name.empty() ? std::filesystem::path(file).stem().string() : name;
}

void ShowProgress(size_t done, size_t all) {
  if (!IsTerminal(stderr)) return;
  fprintf(stderr, "\rjudged %zu of %zu pairs%s", done, all, done == all ? "\n" : "");
  fflush(stderr);
}

void PrintResult(const PairReport& report) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : FactsOf(report)) rows.push_back({name, value});
  printf("%s", FormatTable(rows).c_str());
  for (const TextTable& table : TablesOf(report)) {
    rows = {table.head};
    rows.insert(rows.end(), table.rows.begin(), table.rows.end());
    printf("\n%s\n%s", table.title.c_str(), FormatTable(rows, 2).c_str());
  }
}

absl::Status EvaluatePairs(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const AnswerFile ours, evaluation::ReadAnswers(flags.answers));
  REIN_ASSIGN_OR_RETURN(const AnswerFile base, evaluation::ReadAnswers(flags.base));
  PairReport report;
  REIN_ASSIGN_OR_RETURN(report.answers, evaluation::PairAnswers(ours, base));
  REIN_RETURN_IF_ERROR(MakeFolder(flags.output));
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<Judge> judge, MakeJudge(flags));
  report.ours = NameOf(flags.ours_name, flags.answers);
  report.base = NameOf(flags.base_name, flags.base);
  report.dropped_ours = ours.dropped;
  report.dropped_base = base.dropped;
  report.images = flags.images.empty() ? std::filesystem::absolute(flags.answers).parent_path()
                                       : std::filesystem::path(flags.images);
  report.examples = flags.examples;
  report.bootstrap = flags.bootstrap;
  evaluation::PairwiseOptions options{.images = report.images, .progress = ShowProgress};
  report.judged = JudgePairs(report.answers.pairs, *judge, options);
  report.summary = Summarise(report.answers.pairs, report.judged, report.bootstrap);
  report.judge = judge->ToJson();
  REIN_RETURN_IF_ERROR(WritePairReport(report, flags.output));
  PrintResult(report);
  printf("\n%s\n", (std::filesystem::path(flags.output) / "evaluation.html").c_str());
  if (report.summary.all.judged > 0) return absl::OkStatus();
  return absl::UnavailableError("no pair was judged in both orders; the reasons are counted above");
}

void AddChatFlags(CLI::App& verb, Flags& flags) {
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

void AddEvalPairsCommand(CLI::App& rein, Action& action) {
  CLI::App* eval = rein.add_subcommand("eval", "Evaluate models side by side");
  eval->require_subcommand(1);
  CLI::App* verb = eval->add_subcommand("pairs", "Compare the answers of two models to the same questions");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--answers", flags->answers, "JSONL file of answers (docs/evaluation.md)")->required();
  verb->add_option("--base", flags->base, "JSONL file of the answers of the model to compare with")
      ->required();
  verb->add_option("--judge", flags->judge, "scores, scenes or openai")
      ->required()
      ->check(CLI::IsMember({"scores", "scenes", "openai"}));
  verb->add_option("--output", flags->output, "folder for evaluation.json, .md and .html")->required();
  verb->add_option("--images", flags->images, "folder of the pictures; default: that of --answers");
  verb->add_option("--name", flags->ours_name, "of the model; default: the name of its file");
  verb->add_option("--base-name", flags->base_name, "of the base model; default: the name of its file");
  verb->add_option("--reward-margin", flags->reward_margin, "scores: rewards this close are a tie; default 0")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--cost-margin", flags->cost_margin, "scores: costs this close are a tie; default 0")
      ->check(CLI::NonNegativeNumber);
  AddChatFlags(*verb, *flags);
  verb->add_option("--resamples", flags->bootstrap.resamples, "of the bootstrap; default 10000")
      ->check(CLI::Range(1, 10'000'000));
  verb->add_option("--seed", flags->bootstrap.seed, "of the bootstrap; default 1");
  verb->add_option("--examples", flags->examples, "pairs shown in full; default 24");
  verb->callback([&action, flags] { action = [flags] { return EvaluatePairs(*flags); }; });
}

}  // namespace rein::cli
