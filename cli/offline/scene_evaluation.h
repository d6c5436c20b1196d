// Models against the ground truth of scenes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/preferences.h"
#include "data/scene_report.h"
#include "nlohmann/json.hpp"

namespace rein::cli {

struct SceneEvaluationOptions {
  std::filesystem::path data;
  int64_t prompts = 0;  // from the beginning of the file; 0: all
  int64_t max_tokens = 16;
  std::filesystem::path reward, cost;  // model folders; empty: not scored
};

struct NamedModel {
  std::string name;
  std::filesystem::path folder;
};

// Questions of scenes with their pictures and what is in them.
class SceneQuestions {
 public:
  // Errors: those of data::ReadPreferences; INVALID_ARGUMENT (rows that are no scenes).
  static absl::StatusOr<SceneQuestions> Load(const std::filesystem::path& data, int64_t prompts);

  const std::vector<data::Scene>& scenes() const { return scenes_; }
  const std::vector<std::string>& pictures() const { return pictures_; }  // encoded

 private:
  std::vector<data::Scene> scenes_;
  std::vector<std::string> pictures_;
};

// Greedy answers of each model, judged. {"synthetic": true, "data", "prompts", "models": [{"name", "folder",
// "ground_truth": SceneSummary::ToJson}]}, with "reward_mean", "cost_mean" and "violation_rate", "_low",
// "_high" (cost > 0; Wilson, 95 %) of a model where scorers are given.
absl::StatusOr<nlohmann::json> EvaluateScenes(const std::vector<NamedModel>& models,
                                              const SceneEvaluationOptions& options);

// The Markdown table of such a result.
std::string SceneTable(const nlohmann::json& evaluation);

}  // namespace rein::cli
