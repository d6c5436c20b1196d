#include "cli/run/metrics_tail.h"

#include <fstream>
#include <string>

namespace rein::cli {
namespace {

using Json = nlohmann::json;

int64_t StepOf(const Json& line) {
  if (!line.is_object() || !line.contains("step") || !line["step"].is_number_integer()) return 0;
  return line["step"].get<int64_t>();
}

}  // namespace

std::vector<Json> MetricsTail::ReadNew() {
  std::vector<Json> lines;
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(file_, error);
  if (error || size == offset_) return lines;
  if (size < offset_) offset_ = 0;
  std::ifstream file(file_);
  file.seekg(static_cast<std::streamoff>(offset_));
  // A line without its end is still being written.
  for (std::string line; std::getline(file, line) && !file.eof();) {
    offset_ += line.size() + 1;
    Json json = Json::parse(line, nullptr, false);
    if (StepOf(json) <= last_step_) continue;
    last_step_ = StepOf(json);
    lines.push_back(std::move(json));
  }
  return lines;
}

}  // namespace rein::cli
