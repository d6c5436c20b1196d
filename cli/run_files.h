// What a run folder tells about its run, for those who did not start it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

// outcome.json: how the coordinator ended.
struct Outcome {
  std::string state;  // finished, stopped or failed
  int64_t step = 0;   // last finished step
  std::string error;  // why it failed
};

// Errors: NOT_FOUND (the run has not ended by itself), INVALID_ARGUMENT (not an outcome: names the file).
absl::StatusOr<Outcome> ReadOutcome(const std::filesystem::path& run_dir);

// Step of the newest committed checkpoint; 0: none.
int64_t CommittedStep(const std::filesystem::path& run_dir);

// Last whole line of metrics.jsonl; none where there is none.
std::optional<nlohmann::json> LastMetrics(const std::filesystem::path& run_dir);

// Last line of a log that is not empty, at most its last 4 KiB; empty where there is none.
std::string LastLogLine(const std::filesystem::path& log);

// First line of a small file such as `job_id` or `coordinator.address`, without the line end.
absl::StatusOr<std::string> ReadLine(const std::filesystem::path& file);

// supervisor.lock: held for as long as the `rein run` that owns the folder lives, whatever ends it.
class RunLock {
 public:
  RunLock() = default;
  ~RunLock();
  RunLock(RunLock&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  RunLock& operator=(RunLock&& other) noexcept;

  // Errors: FAILED_PRECONDITION (a run is going on: names its process).
  static absl::StatusOr<RunLock> Take(const std::filesystem::path& run_dir);
  // Process that holds the lock; none when nobody does.
  static std::optional<pid_t> Holder(const std::filesystem::path& run_dir);

 private:
  int fd_ = -1;
};

// The newest folder in `runs` whose run is going on. Errors: NOT_FOUND.
absl::StatusOr<std::filesystem::path> FindLiveRun(const std::filesystem::path& runs);

}  // namespace rein::cli
