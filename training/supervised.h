// SFT, reward-model and cost-model training, offline.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "training/optimizer.h"

namespace rein::training {

struct TrainProgress {
  int64_t step = 0;
  int64_t total = 0;
  std::map<std::string, double> metrics;  // loss, learning_rate, accuracy, ...
};
using TrainProgressFn = std::function<void(const TrainProgress&)>;

struct SftOptions {
  uint64_t seed = 1;
  std::filesystem::path model, data, evaluation, output;
  int64_t steps = 0;
  int64_t batch = 64;  // examples
  int64_t evaluate_every = 0;
  std::vector<std::string> freeze;
  OptimizerOptions optimizer;
};

// Causal cross-entropy on response tokens, packed. Writes the model folder `output`. Metrics of the last
// evaluation are returned: loss, token_accuracy. Errors: those of loading data and model; DATA_LOSS (loss not
// finite).
absl::StatusOr<std::map<std::string, double>> TrainSft(const SftOptions& options,
                                                       const TrainProgressFn& progress);

struct PreferenceOptions {
  uint64_t seed = 1;
  std::filesystem::path model, data, evaluation, output;
  int64_t steps = 0;
  int64_t batch = 32;  // pairs
  int64_t evaluate_every = 0;
  std::vector<std::string> freeze;
  OptimizerOptions optimizer;
  double regularization = 0.001;
  bool binary_labels = false;  // cost only
  double sign_scale = 1.0;     // cost only
};

// Pairwise logistic loss on end scores. Returns loss, ranking_accuracy.
absl::StatusOr<std::map<std::string, double>> TrainRewardModel(const PreferenceOptions& options,
                                                               const TrainProgressFn& progress);
// With the sign terms. Returns loss, ranking_accuracy, sign_accuracy, auc.
absl::StatusOr<std::map<std::string, double>> TrainCostModel(const PreferenceOptions& options,
                                                             const TrainProgressFn& progress);

}  // namespace rein::training
