// What a run left in its folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

namespace rein::coordinator::fakes {

// Throws where there is no such file, or no JSON in it.
class RunReader {
 public:
  explicit RunReader(std::filesystem::path run_dir) : run_dir_(std::move(run_dir)) {}

  std::string Text(const std::string& name) const;
  nlohmann::json Json(const std::string& name) const { return nlohmann::json::parse(Text(name)); }
  std::vector<nlohmann::json> Lines(const std::string& name) const;
  bool Has(const std::string& name) const { return std::filesystem::exists(run_dir_ / name); }

  // "finished", "stopped" or "failed".
  std::string state() const { return Json("outcome.json")["state"]; }
  std::vector<int64_t> MetricSteps() const;
  // Per step what follows from the weights, the scores and the multiplier: equal where nothing was lost or
  // counted twice on the way.
  std::vector<nlohmann::json> Path() const;
  // Ids of all trained samples, in order.
  std::vector<std::string> SampleIds() const;

 private:
  const std::filesystem::path run_dir_;
};

}  // namespace rein::coordinator::fakes
