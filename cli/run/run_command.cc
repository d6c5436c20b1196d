#include "cli/run/run_command.h"

#include <cstdio>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "cli/command.h"
#include "cli/handover.h"
#include "cli/report/report.h"
#include "cli/run/memory_check.h"
#include "cli/run/run_folder.h"
#include "cli/run/stop_signals.h"
#include "cli/run/supervisor.h"
#include "cli/terminal.h"
#include "transport/field_rules.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

std::string ActorText(const v1::ActorSpec& actor) {
  const std::string name = actor.name() == actor.role() ? "" : absl::StrCat("/", actor.name());
  const std::string replicas = actor.replicas() > 1 ? absl::StrCat(" x ", actor.replicas()) : "";
  return absl::StrCat(actor.role(), name, replicas, " on ",
                      actor.address().empty() ? actor.device() : actor.address());
}

std::string ConstraintText(const v1::Constraint& constraint) {
  return absl::StrCat(constraint.name(), ": mean ", constraint.signal(), " at most ",
                      transport::FormatNumber(constraint.threshold()), " (", constraint.controller().kind(),
                      ", window ", constraint.window(), ")");
}

void SayReport(const fs::path& run_dir) {
  if (!fs::exists(run_dir / "metrics.jsonl")) return;
  if (const absl::Status report = WriteReport(run_dir); !report.ok()) {
    printf("no report was written: %s\n", std::string(report.message()).c_str());
  } else {
    printf("report: %s\n", (run_dir / "report.html").c_str());
  }
}

absl::StatusOr<Outcome> Supervise(const RunFolder& folder) {
  SupervisorOptions options;
  REIN_ASSIGN_OR_RETURN(options.programs, ProgramFolder());
  options.terminal = IsTerminal(stdout);
  Supervisor supervisor(folder, options);
  const StopSignals signals([&supervisor](int number) { supervisor.RequestStop(number == SIGHUP); });
  return supervisor.Run();
}

absl::Status Run(const RunRequest& request, bool check_memory) {
  if (check_memory) {
    REIN_ASSIGN_OR_RETURN(const fs::path programs, ProgramFolder());
    REIN_RETURN_IF_ERROR(CheckMemory(programs, request));
  }
  REIN_ASSIGN_OR_RETURN(const RunFolder folder, PrepareRunFolder(request, absl::Now()));
  if (folder.finished) {
    printf("this run has finished its %lld steps already; raise steps to go on\nrun folder: %s\n",
           static_cast<long long>(folder.job.steps()), folder.path.c_str());
    return absl::OkStatus();
  }
  printf("%srun folder: %s\n", Essentials(folder.job).c_str(), folder.path.c_str());
  fflush(stdout);
  const absl::StatusOr<Outcome> supervised = Supervise(folder);
  const Outcome outcome = supervised.ok() ? *supervised
                                          : Outcome{"failed", CommittedStep(folder.path),
                                                    std::string(supervised.status().message())};
  SayReport(folder.path);
  if (outcome.state == "failed") PrintError(absl::StrCat("the job failed: ", outcome.error));
  printf("%s", Ending(outcome, folder.job, request.job_file, folder.path).c_str());
  return outcome.state == "finished" ? absl::OkStatus() : absl::AbortedError("");
}

}  // namespace

std::string Essentials(const v1::Job& job) {
  std::vector<std::string> actors, constraints;
  for (const v1::ActorSpec& actor : job.actors()) actors.push_back(ActorText(actor));
  for (const v1::Constraint& constraint : job.constraints())
    constraints.push_back(ConstraintText(constraint));
  std::vector<std::vector<std::string>> rows = {
      {"job", job.name()},
      {"steps", absl::StrCat(job.steps(), " of ", job.data().prompts_per_step(), " prompts x ",
                             job.data().samples_per_prompt(), " samples, ", job.algorithm().mode())},
      {"data", job.data().prompts()},
      {"actors", absl::StrJoin(actors, ", ")},
      {"constraints", constraints.empty() ? "none" : absl::StrJoin(constraints, "; ")}};
  return FormatTable(rows);
}

std::string Ending(const Outcome& outcome, const v1::Job& job, const std::string& job_file,
                   const fs::path& run_dir) {
  const std::string file = job_file.empty() ? (run_dir / "job.yaml").string() : job_file;
  const std::string go_on = absl::StrCat("rein run ", file, " --run-dir ", run_dir.string(), " --resume");
  const std::string last = absl::StrCat("run folder: ", run_dir.string(), "\n");
  if (outcome.state == "finished") return absl::StrCat("finished ", outcome.step, " steps\n", last);
  if (outcome.state == "stopped") {
    return absl::StrCat(outcome.error, outcome.error.empty() ? "" : "\n", "stopped at step ", outcome.step,
                        " of ", job.steps(), "; go on with: ", go_on, "\n", last);
  }
  return absl::StrCat("failed after step ", outcome.step, " of ", job.steps(),
                      "\nlogs: ", (run_dir / "logs").string(),
                      "\nwhen the cause is removed, go on from the last commit with: ", go_on, "\n", last);
}

void AddRunCommand(CLI::App& rein, Action& action) {
  auto request = std::make_shared<RunRequest>();
  CLI::App* verb =
      rein.add_subcommand("run", "Run a job in separate processes on this machine, with progress");
  verb->add_option("job", request->job_file, "job file (YAML); with --resume default: the run folder's own")
      ->type_name("JOB");
  verb->add_option("--set", request->overrides, "change a field of the job, e.g. --set steps=40; repeatable")
      ->type_name("KEY=VALUE")
      ->take_all()
      ->allow_extra_args(false);
  verb->add_option("--run-dir", request->run_dir, "run folder; default: a new runs/NAME-TIME")
      ->type_name("DIR");
  verb->add_flag("--resume", request->resume, "go on with the run of --run-dir from its last commit");
  auto skip_memory_check = std::make_shared<bool>(false);
  verb->add_flag("--skip-memory-check", *skip_memory_check,
                 "start although the job does not fit into memory (rein plan)");
  verb->footer(
      "Ctrl-C, like a terminal that is closed, finishes the step, commits and ends; a second Ctrl-C ends at "
      "once. Exit status 0: the job "
      "finished; 1: it failed or was stopped before its last step.");
  verb->callback([request, skip_memory_check, &action] {
    if (request->job_file.empty() && !request->resume) throw CLI::RequiredError("job");
    if (request->resume && request->run_dir.empty()) {
      throw CLI::ValidationError("--resume", "needs --run-dir: the folder of the run to go on with");
    }
    action = [request, skip_memory_check] { return Run(*request, !*skip_memory_check); };
  });
}

}  // namespace rein::cli
