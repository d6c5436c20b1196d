// The log without spdlog's headers: LibTorch brings an fmt of its own, which must not meet spdlog's.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace rein {

// Logs to standard error as "time level process-name: message". Call once, early in main.
void SetUpLogging(const std::string& process_name);

// One line each.
void LogInfo(absl::string_view line);
void LogWarning(absl::string_view line);
void LogError(absl::string_view line);

}  // namespace rein
