// One sample's life from the ledger.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

// {"sample_id": ..., "lives": [{columns of `samples`, "costs": {NAME: {cost, signal, digest, lambda}},
// "tokens": {per-token columns, where the job records them}}, ...]}, one life a coordinator epoch in which
// the sample was drawn. Opens ledger.sqlite read-only, also while the job runs.
// Errors: NOT_FOUND (no ledger, or no such sample: tells the nearest), UNAVAILABLE (not readable).
absl::StatusOr<nlohmann::ordered_json> TraceSample(const std::filesystem::path& run_dir,
                                                   const std::string& sample_id);

// The same as tables for readers.
std::string TraceText(const nlohmann::ordered_json& trace);

}  // namespace rein::cli
