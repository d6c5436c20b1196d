// When a request that failed is sent again, and how fast requests may follow each other.
#pragma once

#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "evaluation/clock.h"

namespace rein::evaluation {

inline constexpr absl::Duration kFirstRetryDelay = absl::Seconds(1);
inline constexpr absl::Duration kLongestRetryDelay = absl::Minutes(1);
// Who asks to wait longer is not waited for.
inline constexpr absl::Duration kLongestRetryAfter = absl::Minutes(10);

// The value of a Retry-After header (RFC 9110): seconds, or an HTTP date. nullopt: neither.
std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now);

// Before try number `attempt` + 1 (attempt >= 1): kFirstRetryDelay, doubled with every attempt up to
// kLongestRetryDelay, of which between half and all by `jitter` in [0, 1]; at least what the server asked
// for.
absl::Duration RetryDelay(int attempt, double jitter, absl::Duration retry_after = absl::ZeroDuration());

// Lets requests begin at even distances. Thread-safe.
class RateLimit {
 public:
  // `per_minute` <= 0: no limit.
  RateLimit(double per_minute, Clock& clock);
  // Sleeps until the next request may begin.
  void Wait();

 private:
  Clock& clock_;
  const absl::Duration distance_;
  absl::Mutex mutex_;
  absl::Time next_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

}  // namespace rein::evaluation
