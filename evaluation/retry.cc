#include "evaluation/retry.h"

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"

namespace rein::evaluation {

std::optional<absl::Duration> ParseRetryAfter(absl::string_view value, absl::Time now) {
  int64_t seconds = 0;
  if (absl::SimpleAtoi(value, &seconds)) {
    if (seconds < 0) return std::nullopt;
    return absl::Seconds(seconds);
  }
  absl::Time date;
  std::string error;
  if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", value, absl::UTCTimeZone(), &date, &error))
    return std::nullopt;
  return std::max(absl::ZeroDuration(), date - now);
}

absl::Duration RetryDelay(int attempt, double jitter, absl::Duration retry_after) {
  absl::Duration delay = kFirstRetryDelay;
  for (int i = 1; i < attempt && delay < kLongestRetryDelay; ++i) delay *= 2;
  delay = std::min(delay, kLongestRetryDelay) * (0.5 + jitter / 2);
  return std::max(delay, retry_after);
}

RateLimit::RateLimit(double per_minute, Clock& clock)
    : clock_(clock), distance_(per_minute > 0 ? absl::Minutes(1) / per_minute : absl::ZeroDuration()) {}

void RateLimit::Wait() {
  if (distance_ == absl::ZeroDuration()) return;
  absl::Duration wait;
  {
    const absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_.Now();
    const absl::Time begin = std::max(now, next_);
    next_ = begin + distance_;
    wait = begin - now;
  }
  if (wait > absl::ZeroDuration()) clock_.Sleep(wait);
}

}  // namespace rein::evaluation
