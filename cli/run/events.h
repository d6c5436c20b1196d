// What happens to a supervisor, in the order in which it was noticed.
#pragma once

#include <sys/types.h>

#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::cli {

struct StopSignal {
  // Of SIGHUP: the terminal is gone. It may come more than once, and nobody waits: the step is finished.
  bool hang_up = false;
};
struct ChildExit {
  pid_t pid = 0;
  int wait_status = 0;
};
struct StopAnswer {  // of Coordinator.Stop
  absl::Status status;
};
using Event = std::variant<StopSignal, ChildExit, StopAnswer, v1::JobStatus>;

// Threads post, the supervisor's one thread takes. Thread-safe.
class EventQueue {
 public:
  void Post(Event event) {
    absl::MutexLock lock(&mutex_);
    events_.push_back(std::move(event));
  }
  // None at the deadline.
  std::optional<Event> Take(absl::Time deadline) {
    absl::MutexLock lock(&mutex_);
    const auto some = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !events_.empty(); };
    if (!mutex_.AwaitWithDeadline(absl::Condition(&some), deadline)) return std::nullopt;
    Event event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

 private:
  absl::Mutex mutex_;
  std::deque<Event> events_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::cli
