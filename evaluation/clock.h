// Time as judges see it, so that tests need not wait.
#pragma once

#include "absl/time/time.h"

namespace rein::evaluation {

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;
  virtual void Sleep(absl::Duration duration) = 0;
};

// The time of this host. Lives as long as the process.
Clock& HostClock();

}  // namespace rein::evaluation
