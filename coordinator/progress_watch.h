// Long calls live by progress, not by one long deadline.
#pragma once

#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/client_context.h"

namespace rein::coordinator {

// Cancels a streaming call that has made no progress for `timeout`. One per call; ends with it.
class ProgressWatch {
 public:
  ProgressWatch(grpc::ClientContext* context, absl::Duration timeout)
      : context_(context), timeout_(timeout), thread_([this] { Loop(); }) {}
  ~ProgressWatch() {
    {
      absl::MutexLock lock(&mutex_);
      done_ = true;
    }
    thread_.join();
  }

  void Progress() {
    absl::MutexLock lock(&mutex_);
    last_ = absl::Now();
  }
  bool timed_out() const {
    absl::MutexLock lock(&mutex_);
    return timed_out_;
  }

 private:
  void Loop() {
    absl::MutexLock lock(&mutex_);
    while (!mutex_.AwaitWithDeadline(absl::Condition(&done_), last_ + timeout_)) {
      if (absl::Now() < last_ + timeout_) continue;
      timed_out_ = true;
      context_->TryCancel();
      return;
    }
  }

  grpc::ClientContext* const context_;
  const absl::Duration timeout_;
  mutable absl::Mutex mutex_;
  absl::Time last_ ABSL_GUARDED_BY(mutex_) = absl::Now();
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  bool timed_out_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace rein::coordinator
