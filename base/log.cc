#include "base/log.h"

#include <cstdlib>

#include "spdlog/sinks/stdout_color_sinks.h"

namespace rein {

void SetUpLogging(const std::string& process_name) {
  auto logger = spdlog::stderr_color_mt(process_name);
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %n: %v");
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
  if (const char* level = std::getenv("REIN_LOG")) spdlog::set_level(spdlog::level::from_str(level));
}

}  // namespace rein
