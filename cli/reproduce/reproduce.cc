// rein eval reproduce: the paper's comparison at a size that runs anywhere, on scenes.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/handover.h"
#include "cli/reproduce/report.h"
#include "cli/reproduce/stages.h"

namespace rein::cli {
namespace {

struct Flags {
  std::string output;
  std::vector<uint64_t> seeds = {1, 2, 3};
  ComparisonOptions options;
};

void Show(uint64_t seed, const StageProgress& progress) {
  fprintf(stderr, "seed %s, %zu of %zu: %s%s\n", absl::StrCat(seed).c_str(), progress.number, progress.all,
          progress.stage->name.c_str(), progress.done_before ? " (done before)" : "");
}

absl::Status Reproduce(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const std::filesystem::path programs, ProgramFolder());
  const std::filesystem::path folder = std::filesystem::absolute(flags.output);
  bool first = true;
  for (const uint64_t seed : flags.seeds) {
    // What the later seeds would show again.
    ComparisonOptions options = flags.options;
    options.sensitivity = options.sensitivity && first;
    first = false;
    const std::filesystem::path seed_folder = folder / absl::StrCat("seed-", seed);
    REIN_RETURN_IF_ERROR(MakeFolder(seed_folder));
    REIN_RETURN_IF_ERROR(RunStages(programs / "rein", seed_folder, StagesOf(seed_folder, seed, options),
                                   [seed](const StageProgress& progress) { Show(seed, progress); }));
  }
  REIN_ASSIGN_OR_RETURN(const Comparison comparison, ReadComparison(folder, flags.seeds, flags.options));
  REIN_RETURN_IF_ERROR(WriteComparison(comparison, folder));
  printf("%s\n%s\n", PlainText({}, TablesOf(comparison)).c_str(), (folder / "reproduce.html").c_str());
  return absl::OkStatus();
}

}  // namespace

void AddReproduceCommand(CLI::App& rein, Action& action) {
  CLI::App* verb = rein.get_subcommand("eval")->add_subcommand("reproduce", kEvalReproduce.about);
  const auto flags = std::make_shared<Flags>();
  verb->add_option("--output", flags->output,
                   "folder for everything; what is finished there is not done again")
      ->required();
  verb->add_option("--seeds", flags->seeds, "comma-separated; default 1,2,3; sensitivity is the first one's")
      ->delimiter(',')
      ->allow_extra_args(false);
  verb->add_option("--family", flags->options.family, "of the models; default llava");
  verb->add_flag("!--no-sensitivity", flags->options.sensitivity,
                 "leave out the runs with other thresholds and start values of lambda");
  verb->add_option("--job-set", flags->options.sets,
                   "KEY=VALUE, a field of all RL jobs; may be given several times")
      ->allow_extra_args(false);
  verb->callback([&action, flags] { action = [flags] { return Reproduce(*flags); }; });
}

}  // namespace rein::cli
