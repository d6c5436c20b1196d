#include "base/log_line.h"

#include "spdlog/spdlog.h"

namespace rein {

void LogInfo(absl::string_view line) { spdlog::info("{}", std::string(line)); }
void LogWarning(absl::string_view line) { spdlog::warn("{}", std::string(line)); }
void LogError(absl::string_view line) { spdlog::error("{}", std::string(line)); }

}  // namespace rein
