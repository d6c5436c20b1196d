// How fast something goes and what is left of it, as every line of progress says it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace rein::cli {

// Of things that are counted from now on.
class Pace {
 public:
  using Clock = std::function<absl::Time()>;
  // `first`: how many were done before.
  explicit Pace(int64_t first = 0, Clock clock = absl::Now);

  // "5.2 a second, 12 min 05 s left"; empty before there is something to go by, and at the end.
  std::string Text(int64_t done, int64_t all) const;

 private:
  const int64_t first_;
  const Clock clock_;
  const absl::Time start_;
};

// "5.2 a second", "12 a minute", "3.4 an hour": in the smallest unit that has at least one.
std::string FormatPace(double per_second);

}  // namespace rein::cli
