// rein train sft|reward|cost|guard|dpo: the offline trainers.
#include <ATen/Parallel.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/optimizer_options.h"
#include "base/lifeline.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/offline/load_progress.h"
#include "cli/offline/rank_environment.h"
#include "cli/offline/rank_processes.h"
#include "cli/offline/train_progress.h"
#include "rein/v1/trainer.pb.h"
#include "training/supervised.h"
#include "training/training_folder.h"
#include "transport/job_file.h"

namespace rein::cli {
namespace {

struct Flags {
  std::string kind, file;
  std::vector<std::string> settings;
  bool resume = false;
  RankProcesses ranks;
};

// What all kinds of job have in common.
template <typename Options, typename Job>
Options CommonOptions(const Job& job, const Flags& flags) {
  Options options;
  options.seed = job.seed();
  options.model = job.model();
  options.data = job.data();
  options.evaluation = job.evaluation();
  options.output = job.output();
  options.steps = job.steps();
  options.batch = job.batch();
  options.evaluate_every = job.evaluate_every();
  options.freeze.assign(job.freeze().begin(), job.freeze().end());
  options.optimizer = host::ToOptimizerOptions(job.optimizer());
  options.lora = host::ToLoraOptions(job.lora(), job.seed());
  options.keep_best = job.keep() == "best";
  options.save_every = job.save_every();
  options.resume = flags.resume;
  options.picture_bytes = job.picture_bytes();
  options.loading = ShowLoading;
  return options;
}

training::PreferenceOptions PairOptions(const v1::PreferenceJob& job, const Flags& flags) {
  auto options = CommonOptions<training::PreferenceOptions>(job, flags);
  options.regularization = job.regularization();
  options.binary_labels = job.labels() == "binary";
  options.sign_scale = job.sign_scale();
  return options;
}

// What a rank that was started here is told.
std::vector<std::string> RankArguments(const Flags& flags) {
  std::vector<std::string> arguments = {"train", flags.kind, flags.file};
  for (const std::string& setting : flags.settings) arguments.insert(arguments.end(), {"--set", setting});
  if (flags.resume) arguments.push_back("--resume");
  return arguments;
}

absl::Status RunRanks(const Flags& flags, const std::filesystem::path& logs) {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return absl::UnavailableError(absl::StrCat("/proc/self/exe: ", error.message()));
  return RunRankProcesses(flags.ranks, program, RankArguments(flags), logs);
}

// Trains with `train(options, progress)`, alone or as the rank that the environment names, and prints what
// came of it.
template <typename Options, typename Train>
absl::Status Run(const Flags& flags, Options options, int threads, Train train) {
  if (flags.ranks.requested()) return RunRanks(flags, training::TrainingFolder(options.output).path());
  REIN_ASSIGN_OR_RETURN(const RankEnvironment environment, ReadRankEnvironment());
  int lifeline = -1;
  if (absl::SimpleAtoi(EnvironmentVariable(kLifeline), &lifeline)) FollowLifeline(lifeline);
  REIN_ASSIGN_OR_RETURN(JoinedRanks joined, JoinRanks(environment));
  options.ranks = &joined.ranks;
  at::set_num_threads(threads);
  TrainProgressLine line(std::cerr, isatty(STDERR_FILENO) != 0);
  const auto metrics =
      train(options, [&line](const training::TrainProgress& progress) { line.Show(progress); });
  if (!metrics.ok()) return metrics.status();
  if (!joined.ranks.is_first()) return absl::OkStatus();
  std::vector<std::string> names;
  for (const auto& [name, value] : *metrics) names.push_back(name);
  printf("%s: %s\n", options.output.c_str(), MetricsText(*metrics, names).c_str());
  return absl::OkStatus();
}

absl::Status TrainPolicy(const Flags& flags) {
  v1::SftJob job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  return Run(flags, CommonOptions<training::SftOptions>(job, flags), job.threads(), training::TrainSft);
}

absl::Status TrainReward(const Flags& flags) {
  v1::PreferenceJob job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  return Run(flags, PairOptions(job, flags), job.threads(), training::TrainRewardModel);
}

absl::Status TrainCost(const Flags& flags) {
  v1::PreferenceJob job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  return Run(flags, PairOptions(job, flags), job.threads(), training::TrainCostModel);
}

absl::Status TrainGuard(const Flags& flags) {
  v1::GuardJob job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  auto options = CommonOptions<training::GuardOptions>(job, flags);
  options.category_weight = job.category_weight();
  options.false_positive_rate = job.false_positive_rate();
  return Run(flags, options, job.threads(), training::TrainGuard);
}

absl::Status TrainDpo(const Flags& flags) {
  v1::DpoJob job;
  REIN_RETURN_IF_ERROR(transport::ReadYaml(flags.file, flags.settings, &job));
  auto options = CommonOptions<training::DpoOptions>(job, flags);
  options.reference = job.reference();
  options.beta = job.beta();
  options.by_safety = job.preference() == "safe";
  return Run(flags, options, job.threads(), training::TrainDpo);
}

void AddTrainer(CLI::App& train, const char* name, const char* meaning,
                absl::Status (*trainer)(const Flags& flags), Action& action) {
  CLI::App* verb = train.add_subcommand(name, meaning);
  const auto flags = std::make_shared<Flags>();
  flags->kind = name;
  verb->add_option("FILE", flags->file, "YAML file; fields: docs/reference/job-file.md")->required();
  verb->add_option("--set", flags->settings, "KEY=VALUE, overrides a field; may be given several times")
      ->allow_extra_args(false);
  verb->add_flag("--resume", flags->resume, "go on from the newest state in OUTPUT.training (save_every)");
  verb->add_option("--processes", flags->ranks.processes, "ranks on this host that share each batch")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--nodes", flags->ranks.nodes, "hosts that train together, each with --processes ranks")
      ->check(CLI::Range(1, 1024));
  verb->add_option("--node-rank", flags->ranks.node_rank, "which of the hosts this is, from 0")
      ->check(CLI::NonNegativeNumber);
  verb->add_option("--rendezvous", flags->ranks.rendezvous, "HOST:PORT on host 0 where all meet");
  verb->footer(
      "Under torchrun, or with RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT set, this process is one rank.");
  verb->callback([&action, flags, trainer] {
    action = [flags, trainer] {
      REIN_RETURN_IF_ERROR(CheckRankProcesses(flags->ranks));
      return trainer(*flags);
    };
  });
}

}  // namespace

void AddTrainCommand(CLI::App& rein, Action& action) {
  CLI::App* train = rein.add_subcommand("train", "Train a model offline: sft, reward, cost, guard or dpo");
  train->require_subcommand(1);
  AddTrainer(*train, "sft", "supervised fine-tuning on question and response_1", TrainPolicy, action);
  AddTrainer(*train, "reward", "reward model from pairs ranked by helpfulness", TrainReward, action);
  AddTrainer(*train, "cost", "cost model from pairs ranked by safety, with signs", TrainCost, action);
  AddTrainer(*train, "guard", "guard from questions and answers with their levels of harm", TrainGuard,
             action);
  AddTrainer(*train, "dpo", "policy from pairs, against a frozen reference", TrainDpo, action);
}

}  // namespace rein::cli
