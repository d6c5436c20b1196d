// Questions to the ledger of a run, also while the coordinator writes to it.
#pragma once

#include <sqlite3.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

using LedgerHandle = std::unique_ptr<sqlite3, decltype(&sqlite3_close)>;

// Read-only. Errors: NOT_FOUND (no such file), UNAVAILABLE (not readable).
absl::StatusOr<LedgerHandle> OpenLedger(const std::filesystem::path& file);

// One object a row, keys as the columns are named. Parameters are integers and strings.
// Errors: UNAVAILABLE (no ledger, broken, busy for seconds).
absl::StatusOr<std::vector<nlohmann::ordered_json>> QueryLedger(
    sqlite3* ledger, const std::string& sql, const std::vector<nlohmann::ordered_json>& parameters = {});

}  // namespace rein::cli
