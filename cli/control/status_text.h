// Status for readers.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "cli/terminal.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::cli {

// Tables of the job, what it waits for, its multipliers and its actors.
std::string StatusText(const v1::JobStatus& status, const Paint& paint);

// The same in one line: "training  step 3/40  reward 1.2 ...  waits for policy: train (4 s)".
std::string StatusLine(const v1::JobStatus& status);

// What the files of a run folder tell of a run that no coordinator serves: how it ended, last commit, last
// figures. Errors: NOT_FOUND (no run in that folder).
absl::StatusOr<std::string> FilesText(const std::filesystem::path& run_dir);

}  // namespace rein::cli
