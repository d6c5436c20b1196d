// How verbs tell how far through their rows they are.
#pragma once

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace rein::cli {

// "answered 64 of 590 questions, 12 min 05 s left". On a terminal one line that is written over again and
// again; elsewhere about ten lines. Not thread-safe.
class CountProgressLine {
 public:
  using Clock = std::function<absl::Time()>;
  // `what`: "answered", `things`: "questions". `first`: how many were done before. `out` outlives it.
  CountProgressLine(std::ostream& out, bool terminal, std::string what, std::string things, int64_t first = 0,
                    Clock clock = absl::Now);

  void Show(int64_t done, int64_t all);

 private:
  std::string LineOf(int64_t done, int64_t all) const;

  std::ostream& out_;
  const bool terminal_;
  const std::string what_, things_;
  const int64_t first_;
  const Clock clock_;
  const absl::Time start_;
  int64_t shown_tenths_ = -1;
};

}  // namespace rein::cli
