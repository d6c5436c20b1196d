// The folder of a run, made or taken up again before anything starts.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/run_files.h"
#include "rein/v1/job.pb.h"

namespace rein::cli {

struct RunRequest {
  std::string job_file;                // empty only with `resume`: the folder's own job
  std::vector<std::string> overrides;  // "key=value"
  std::string run_dir;                 // empty: a new folder in ./runs, named after job and time
  bool resume = false;
};

// What the supervisor needs to know of its folder. Holds the folder's lock.
struct RunFolder {
  std::filesystem::path path;  // absolute
  v1::Job job;                 // as written to job.yaml
  std::string token;
  bool finished = false;  // with `resume`: it has done all its steps already
  RunLock lock;
};

// Reads and checks the job, then makes the folder: job.yaml, job_id, token and logs/, under the lock. An
// outcome of an earlier start is removed, unless the run has finished.
// Errors: those of transport::ReadJob; FAILED_PRECONDITION (the folder holds a run: names --resume, or the
// process that runs it), NOT_FOUND (nothing to resume), INVALID_ARGUMENT (see ResumedJob).
absl::StatusOr<RunFolder> PrepareRunFolder(const RunRequest& request, absl::Time now);

// "runs/NAME-20250131-235959", relative.
std::filesystem::path DefaultRunDir(const std::string& job_name, absl::Time now);

}  // namespace rein::cli
