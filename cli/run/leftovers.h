// Processes of a run that are left from an earlier start.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <vector>

#include "absl/time/time.h"

namespace rein::cli {

// Coordinator and actors of this run folder: processes whose program lies in `programs` and which have
// "--run-dir RUN_DIR" among their arguments, without this process itself.
std::vector<pid_t> FindProcesses(const std::filesystem::path& programs, const std::filesystem::path& run_dir);

// Waits for them to end by themselves, as they do once their supervisor is gone, and kills what is left after
// `grace`. Returns when none is left.
void EndLeftovers(const std::filesystem::path& programs, const std::filesystem::path& run_dir,
                  absl::Duration grace);

}  // namespace rein::cli
