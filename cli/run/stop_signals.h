// SIGINT, SIGTERM and SIGHUP as calls on a thread, not as interruptions.
#pragma once

#include <signal.h>

#include <functional>
#include <thread>

#include "absl/status/statusor.h"

namespace rein::cli {

// From construction to destruction SIGINT, SIGTERM and SIGHUP call `on_signal` with their number from a
// thread of this object; SIGHUP does not where it was ignored before (nohup). Make it before any other
// thread: they inherit that these signals are blocked. SIGPIPE is ignored from then on, so that a closed
// output does not end a run.
class StopSignals {
 public:
  explicit StopSignals(std::function<void(int)> on_signal);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

 private:
  void Loop();

  const std::function<void(int)> on_signal_;
  sigset_t before_;
  int signals_ = -1, wake_ = -1;
  std::thread thread_;
};

}  // namespace rein::cli
