// Appending to files that people follow while a job runs.
#pragma once

#include <filesystem>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace rein {

// Appends all of `bytes`, or nothing: after a failed write the file is cut back to its old length, so that
// the next append does not continue half a record. Makes the file if it is not there. Durable when it
// returns. Errors: RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (any other I/O error).
absl::Status AppendToFile(const std::filesystem::path& path, absl::string_view bytes);

}  // namespace rein
