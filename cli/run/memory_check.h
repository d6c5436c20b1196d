// `rein plan` before a run: a job that cannot fit is refused before anything is started.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/run/run_folder.h"

namespace rein::cli {

// Asks rein-models, in the folder `programs`, about the job that `request` would run. Errors:
// RESOURCE_EXHAUSTED (it does not fit: the plan's message). OK also where that cannot be told, be it that the
// program is not there or that the job is wrong: whoever starts it will say why.
absl::Status CheckMemory(const std::filesystem::path& programs, const RunRequest& request);

}  // namespace rein::cli
