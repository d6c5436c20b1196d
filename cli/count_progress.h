// How verbs tell how far through their rows they are.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "cli/pace.h"

namespace rein::cli {

// "answered 64 of 590 questions, 42 a minute, 12 min 05 s left". On a terminal one line that is written over
// again and again; elsewhere about ten lines. Not thread-safe.
class CountProgressLine {
 public:
  // `what`: "answered", `things`: "questions". `first`: how many were done before. `out` outlives it.
  CountProgressLine(std::ostream& out, bool terminal, std::string what, std::string things, int64_t first = 0,
                    Pace::Clock clock = absl::Now);

  void Show(int64_t done, int64_t all);

 private:
  std::string LineOf(int64_t done, int64_t all) const;

  std::ostream& out_;
  const bool terminal_;
  const std::string what_, things_;
  const Pace pace_;
  int64_t shown_tenths_ = -1;
};

}  // namespace rein::cli
