// How many questions a data set has for a verb that asks them all.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "data/read_options.h"

namespace rein::cli {

// Rows of the data that can be used, at most `limit` (0: all). Finds broken files before hours of work.
// Errors: those of reading; INVALID_ARGUMENT (none can be used: counts the reasons).
absl::StatusOr<int64_t> CountRows(const std::string& path, const data::ReadOptions& options, int64_t limit);

}  // namespace rein::cli
