// rein-coordinator: the job thread and its services.
#include <signal.h>

#include <string>
#include <thread>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/lifeline.h"
#include "base/log.h"
#include "base/log_line.h"
#include "base/status.h"
#include "coordinator/job.h"
#include "coordinator/run_files.h"
#include "transport/job_file.h"
#include "transport/token.h"

namespace rein {
namespace {

absl::StatusOr<coordinator::JobOptions> ReadRunFolder(const std::filesystem::path& run_dir) {
  coordinator::JobOptions options;
  options.run_dir = run_dir;
  REIN_ASSIGN_OR_RETURN(options.job, transport::ReadJob(run_dir / "job.yaml", {}));
  REIN_ASSIGN_OR_RETURN(const std::string job_id, ReadFile(run_dir / "job_id", 4096));
  options.job_id = std::string(absl::StripAsciiWhitespace(job_id));
  REIN_ASSIGN_OR_RETURN(options.token, transport::ReadToken(run_dir / "token"));
  const absl::StatusOr<std::string> launcher = ReadFile(run_dir / "launcher.address", 4096);
  if (launcher.ok()) options.launcher_address = std::string(absl::StripAsciiWhitespace(*launcher));
  return options;
}

// SIGTERM and SIGINT ask for the end at the next step boundary. Blocked in every thread but the one here.
class EndSignals {
 public:
  EndSignals() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGTERM);
    sigaddset(&signals_, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    signal(SIGPIPE, SIG_IGN);
  }
  void Follow(coordinator::Job* job) {
    std::thread([signals = signals_, job] {
      int number = 0;
      while (sigwait(&signals, &number) == 0) job->AskToStop();
    }).detach();
  }

 private:
  sigset_t signals_;
};

absl::Status RunCoordinator(const std::filesystem::path& run_dir) {
  EndSignals signals;
  REIN_ASSIGN_OR_RETURN(const coordinator::JobOptions options, ReadRunFolder(run_dir));
  absl::StatusOr<std::unique_ptr<coordinator::Job>> job = coordinator::Job::Open(options);
  if (!job.ok()) {
    REIN_RETURN_IF_ERROR(
        coordinator::WriteOutcome(run_dir, "failed", /*step=*/0, std::string(job.status().message())));
    return job.status();
  }
  // The job lives as long as the process: the signal thread refers to it.
  coordinator::Job* running = job->release();
  signals.Follow(running);
  const absl::Status status = running->Run();
  running->Shutdown();
  return status;
}

}  // namespace
}  // namespace rein

int main(int argc, char** argv) {
  CLI::App app("Coordinates one job; started by `rein run`.", "rein-coordinator");
  std::string run_dir;
  int lifeline_fd = -1;
  app.add_option("--run-dir", run_dir, "run folder, made by `rein run`")->required();
  app.add_option("--lifeline-fd", lifeline_fd, "the process ends when this pipe is closed");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  rein::FollowLifeline(lifeline_fd);
  rein::SetUpLogging("rein-coordinator");
  const absl::Status status = rein::RunCoordinator(run_dir);
  if (!status.ok()) rein::LogError(status.message());
  return status.ok() ? 0 : 1;
}
