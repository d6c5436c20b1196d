// Logging: spdlog with one line format for every process. Severity by REIN_LOG=trace|debug|info|warn|error.
#pragma once

#include <string>

#include "spdlog/spdlog.h"

namespace rein {

// Logs to standard error as "time level process-name: message". Call once, early in main.
void SetUpLogging(const std::string& process_name);

}  // namespace rein
