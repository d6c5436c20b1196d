// The lines that are new in metrics.jsonl.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "nlohmann/json.hpp"

namespace rein::cli {

// Gives every step once and in order, also where a rollback cuts the file back and its steps are done again.
class MetricsTail {
 public:
  // Steps up to `last_step` are not given.
  MetricsTail(std::filesystem::path file, int64_t last_step)
      : file_(std::move(file)), last_step_(last_step) {}
  // What has been added since the last call.
  std::vector<nlohmann::json> ReadNew();
  int64_t last_step() const { return last_step_; }

 private:
  const std::filesystem::path file_;
  int64_t last_step_;
  uint64_t offset_ = 0;
};

}  // namespace rein::cli
