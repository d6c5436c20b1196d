// Helps tests: time that passes only where somebody sleeps.
#pragma once

#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "evaluation/clock.h"

namespace rein::evaluation {

class FakeClock : public Clock {
 public:
  absl::Time Now() override {
    const absl::MutexLock lock(&mutex_);
    return now_;
  }
  void Sleep(absl::Duration duration) override {
    const absl::MutexLock lock(&mutex_);
    slept_.push_back(duration);
    now_ += duration;
  }
  std::vector<absl::Duration> slept() {
    const absl::MutexLock lock(&mutex_);
    return slept_;
  }

 private:
  absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1'700'000'000);
  std::vector<absl::Duration> slept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::evaluation
