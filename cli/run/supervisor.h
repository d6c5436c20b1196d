// Runs one job: starts the coordinator, restarts it when it crashes, serves the Launcher, shows progress, and
// leaves no process behind.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "cli/run/child_processes.h"
#include "cli/run/events.h"
#include "cli/run/launcher.h"
#include "cli/run/progress.h"
#include "cli/run/run_folder.h"
#include "cli/run/status_follower.h"
#include "transport/server.h"

namespace rein::cli {

struct SupervisorOptions {
  std::filesystem::path programs;  // folder of rein-coordinator and rein-actor
  FILE* out = stdout;
  bool terminal = false;
  // Between SIGTERM and SIGKILL when the run ends.
  absl::Duration grace = absl::Seconds(10);
};

// Life: 1. construct; 2. Run once; other threads may call RequestStop meanwhile.
class Supervisor {
 public:
  // `folder` outlives the supervisor.
  Supervisor(const RunFolder& folder, const SupervisorOptions& options);
  ~Supervisor();

  // Returns when the job has ended and all processes are gone. The outcome is the coordinator's own, or
  // "stopped" where a second stop was asked for, or "failed" where the coordinator crashed too often.
  // Errors: NOT_FOUND (no such program), UNAVAILABLE (nothing could be started).
  absl::StatusOr<Outcome> Run();

  // First call: finish the step, commit and end. Second: end now, unless it is a hang-up. Thread-safe.
  void RequestStop(bool hang_up = false) { events_.Post(StopSignal{hang_up}); }

 private:
  absl::Status Open();
  void Close();
  absl::Status StartCoordinator();
  void RemoveAddresses();
  void HandleNext();
  void HandleDeadline();

  void Handle(const StopSignal& signal);
  void Handle(const ChildExit& exit);
  void Handle(const StopAnswer& answer);
  void Handle(const v1::JobStatus& status);

  void AskToStop();
  void CoordinatorCrashed(const std::string& how);
  void End(const std::string& state, const std::string& error);
  // Last line of the coordinator's log, for errors.
  std::string LastWords() const;
  // How long a coordinator that stops may show no change.
  absl::Duration Patience() const;

  const RunFolder& folder_;
  const SupervisorOptions options_;
  EventQueue events_;
  Progress progress_;
  std::unique_ptr<ChildProcesses> children_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<transport::Server> server_;
  std::unique_ptr<StatusFollower> follower_;
  std::thread stop_call_;

  pid_t coordinator_ = 0;
  int restarts_ = 0;            // in a row without a commit
  int64_t restarted_from_ = 0;  // committed step at the last restart
  bool stopping_ = false;
  absl::Time stop_deadline_ = absl::InfiniteFuture();
  std::string stop_error_;  // why the coordinator did not take the request
  std::optional<Outcome> outcome_;
};

}  // namespace rein::cli
