// What `rein run` shows while it runs.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "cli/run/metrics_tail.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::cli {

// "step 12/40  reward 1.23  cost -0.4 (at most 0)  lambda 1.2  unsafe 12.5 %  4.1 s" from a metrics line;
// without the total where it is 0.
std::string StepLine(const nlohmann::json& metrics, int64_t total_steps = 0);

// The same from a status, with the phase in front and the time left, where it is known, after the step.
// Before the first figures it tells the oldest wait.
std::string LiveLine(const v1::JobStatus& status, std::optional<absl::Duration> left);

// As many of the items, two spaces apart, as fit; a number is not cut in two.
std::string FitToColumns(const std::string& line, int columns);

// "generating", "paused"; "" for an unknown phase.
std::string PhaseWord(v1::JobPhase phase);

// On a terminal one line that is drawn over (before the first figures it names the oldest wait); elsewhere
// one line a step, every total/200-th where there are more than 200. Restarts, and waits of more than 10 s,
// are said in words. For one thread.
class Progress {
 public:
  // `first_step`: last step that was finished before this start.
  Progress(FILE* out, bool terminal, std::filesystem::path run_dir, int64_t first_step, int64_t total_steps);

  void Show(const v1::JobStatus& status, absl::Time now);
  // Says what has been waited for long enough by now.
  void Remind(absl::Time now);
  // When Remind has something to say next; InfiniteFuture: never.
  absl::Time NextReminder() const;
  // A line of its own.
  void Say(const std::string& text);
  // Ends the live line: what stays is the last finished step.
  void Finish();
  int64_t last_step() const { return metrics_.last_step(); }

 private:
  void ShowSteps(absl::Time now);
  void SayLastLine();
  void SayTroubles(const v1::JobStatus& status);
  void Draw(const std::string& line);
  std::optional<absl::Duration> TimeLeft(absl::Time now) const;

  FILE* const out_;
  const bool terminal_;
  const int64_t total_steps_;
  MetricsTail metrics_;
  v1::JobStatus status_;
  bool drawn_ = false;
  std::string last_line_;                         // of the last finished step, unless it has been said
  std::map<std::string, absl::Time> said_waits_;  // kind of wait: when it was said
  std::string said_error_;
  // First step that this start has finished, and when: the base of the time left.
  std::optional<int64_t> base_step_;
  absl::Time base_time_;
};

}  // namespace rein::cli
