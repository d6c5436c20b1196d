// What a run came to, as files that need nothing else to be looked at.
#pragma once

#include <filesystem>

#include "absl/status/status.h"

namespace rein::cli {

// Writes report.html, report.md, report.json and report.svg (the most telling curves side by side) into a run
// folder, from what is there: job.yaml, metrics.jsonl, samples.jsonl, evaluations, pictures, ledger.sqlite,
// outcome.json. A run that still goes on gives a partial report; malformed lines are skipped and counted in
// it. Errors: NOT_FOUND (no run folder), those of writing files.
absl::Status WriteReport(const std::filesystem::path& run_dir);

}  // namespace rein::cli
