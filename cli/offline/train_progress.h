// How `rein train` tells where it is.
#pragma once

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "cli/pace.h"
#include "training/supervised.h"

namespace rein::cli {

// On a terminal one line that is written over again and again; elsewhere about ten lines. An evaluation
// always has a line of its own. Not thread-safe.
class TrainProgressLine {
 public:
  // `out` outlives it.
  TrainProgressLine(std::ostream& out, bool terminal, Pace::Clock clock = absl::Now);

  void Show(const training::TrainProgress& progress);

 private:
  std::string LineOf(const training::TrainProgress& progress) const;
  bool IsDue(const training::TrainProgress& progress) const;

  std::ostream& out_;
  const bool terminal_;
  const Pace::Clock clock_;
  int64_t first_ = 0;  // the first step seen: a resumed training does not start with 1
  std::optional<Pace> pace_;
};

// "loss 0.482  accuracy 0.81": `names` that are there, in their order.
std::string MetricsText(const std::map<std::string, double>& metrics, const std::vector<std::string>& names);

}  // namespace rein::cli
