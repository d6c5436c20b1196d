// guard_config.json: what a guard folder says beside its head.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "guard/decision.h"

namespace rein::guard {

inline constexpr char kConfigFile[] = "guard_config.json";

struct GuardConfig {
  using Choices = std::array<ThresholdChoice, kLevels - 1>;

  Thresholds thresholds;
  // How the thresholds were chosen. Where nothing was `chosen` they are the 0.5 that was there from the
  // start.
  double false_positive_rate = 0;  // that was asked for
  bool held_out = false;           // the items were not trained on
  Choices question, answer;
  std::array<CategoryChoice, kCategoryLogits> category;
  // Measured on the other half of the items: counts, and metrics by name.
  int64_t measured_questions = 0, measured_answers = 0;
  std::map<std::string, double> metrics;
};

// Writes `folder`/guard_config.json with the names of levels and categories.
absl::Status WriteGuardConfig(const GuardConfig& config, const std::filesystem::path& folder);

// Errors, naming the file: NOT_FOUND, INVALID_ARGUMENT (no JSON, another format, other levels or categories
// or in another order, a threshold that is no number from 0 to 1: says which).
absl::StatusOr<GuardConfig> ReadGuardConfig(const std::filesystem::path& folder);

}  // namespace rein::guard
