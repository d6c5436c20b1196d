// Child processes that are started, ended and reaped here, and that never outlive this process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace rein::cli {

struct ChildCommand {
  std::filesystem::path program;
  std::vector<std::string> arguments;              // without the program's name
  std::map<std::string, std::string> environment;  // on top of this process's own
  std::filesystem::path log;  // standard output and error, appended; empty: those of this process
};

// Every child leads a process group of its own, reads /dev/null, and inherits nothing but the read end of the
// lifeline pipe as kLifelineFd (base/lifeline.h): when this process is gone, however it ended, the pipe
// closes. One thread reaps, so that Running() tells the truth at once; what a child leaves in its group is
// killed with it. Thread-safe.
class ChildProcesses {
 public:
  static constexpr int kLifelineFd = 3;
  // Called from the reaping thread when a child has ended, with its status as from waitpid.
  using OnExit = std::function<void(pid_t pid, int wait_status)>;

  // Errors: UNAVAILABLE (no more file descriptors).
  static absl::StatusOr<std::unique_ptr<ChildProcesses>> Create(OnExit on_exit);
  // Kills what still runs.
  ~ChildProcesses();

  // Errors: NOT_FOUND (no such program), PERMISSION_DENIED, UNAVAILABLE (could not be started, or EndAll has
  // begun).
  absl::StatusOr<pid_t> Start(const ChildCommand& command);
  bool Running(pid_t pid) const;
  // Status as from waitpid of a child that has ended; none while it runs, or where it was never ours.
  std::optional<int> ExitStatus(pid_t pid) const;
  // SIGTERM to the group, SIGKILL after `grace`; returns when the child is reaped. Harmless when it is gone.
  void Stop(pid_t pid, absl::Duration grace);
  // Stop for all at the same time; nothing can be started from then on.
  void EndAll(absl::Duration grace);

 private:
  struct Child {
    int pidfd = -1;
    bool running = true;
    int wait_status = 0;
  };

  explicit ChildProcesses(OnExit on_exit) : on_exit_(std::move(on_exit)) {}
  absl::Status Open();
  void ReapLoop();
  void Reap(pid_t pid);
  void SignalAll(int signal_number) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool NoneRuns() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const OnExit on_exit_;
  int lifeline_read_ = -1, lifeline_write_ = -1;
  int epoll_ = -1, wake_ = -1;
  mutable absl::Mutex mutex_;
  std::map<pid_t, Child> children_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread reaper_;
};

// "exit status 1", "killed by signal 9 (Killed)".
std::string DescribeExit(int wait_status);

}  // namespace rein::cli
