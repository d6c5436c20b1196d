// `rein run`: the pieces that a test can see without a process.
#pragma once

#include <filesystem>
#include <string>

#include "cli/run_files.h"
#include "rein/v1/job.pb.h"

namespace rein::cli {

// Name, steps, data, actors and constraints, one line each.
std::string Essentials(const v1::Job& job);

// What to tell when a run has ended: where it stands, where to look and how to go on, the run folder last.
// The reason of a failure is not in it.
std::string Ending(const Outcome& outcome, const v1::Job& job, const std::string& job_file,
                   const std::filesystem::path& run_dir);

}  // namespace rein::cli
