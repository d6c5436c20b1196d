// The one thread of a process that runs tensor work. RPC threads hand work in and wait; they never compute.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace rein::transport {

// First in, first out, bounded. Thread-safe.
class Executor {
 public:
  explicit Executor(int queue_limit);
  // Finishes what runs, drops what waits (its callers get CANCELLED).
  ~Executor();

  // Runs `work` on the executor thread and waits for it. `activity` is what status shows meanwhile.
  // Errors: RESOURCE_EXHAUSTED (queue full: says the limit), CANCELLED (shut down), and those of `work`.
  absl::Status Run(const std::string& activity, std::function<absl::Status()> work);
  template <typename T>
  absl::StatusOr<T> Compute(const std::string& activity, std::function<absl::StatusOr<T>()> work) {
    absl::StatusOr<T> result = absl::UnknownError("not run");
    absl::Status status = Run(activity, [&] {
      result = work();
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return result;
  }
  // Hands work in without waiting; `work` is dropped at shutdown. Errors: RESOURCE_EXHAUSTED, CANCELLED.
  absl::Status Post(const std::string& activity, std::function<void()> work);

  // What runs now; empty when idle. Changed by the running work to tell how far it is.
  std::string activity() const;
  void SetActivity(const std::string& activity);
  int queue() const;
  int queue_limit() const { return queue_limit_; }
  // When work last started, ended or said SetActivity.
  absl::Time last_progress() const;
  // Waits until nothing runs or waits. Errors: DEADLINE_EXCEEDED.
  absl::Status WaitIdle(absl::Time deadline);

 private:
  struct Task {
    std::string activity;
    std::function<void()> work;
    std::function<void()> dropped;
  };
  absl::Status Enqueue(Task task);
  void Loop();

  const int queue_limit_;
  mutable absl::Mutex mutex_;
  std::deque<Task> tasks_ ABSL_GUARDED_BY(mutex_);
  bool running_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::string activity_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_progress_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  std::thread thread_;
};

}  // namespace rein::transport
