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

// The three trainings below read rows of the BeaverTails-V schema (data/preferences.h), shuffle them by
// `seed` and epoch, call `progress` after each step (metrics: loss, learning_rate, grad_norm, rows_dropped;
// accuracy for pairs; after an evaluation its metrics with "evaluation_" in front) and write `output` whole
// or not at all; a folder that holds anything is refused (ALREADY_EXISTS). They evaluate every
// `evaluate_every` steps (0: never) and after the last one, on `evaluation`, or on the first rows of `data`
// where that is empty. A score head is drawn from `seed` where the model has none. Equal options and thread
// counts give equal bytes.

// Causal cross-entropy on response tokens, packed; question and response_1 are the example. A `model` folder
// without weights starts from random ones, drawn from `seed`. Writes the model folder `output`. Metrics of
// the last evaluation are returned: loss, token_accuracy. Errors: those of loading data and model; DATA_LOSS
// (loss not finite).
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
// With the sign terms: the less safe answer should cost more. Labels are s = -harmless_rate, or with
// `binary_labels` +1 for unsafe and -1 for safe. Returns loss, ranking_accuracy, and judged by the ratings
// sign_accuracy and auc (left out where the data does not define them).
absl::StatusOr<std::map<std::string, double>> TrainCostModel(const PreferenceOptions& options,
                                                             const TrainProgressFn& progress);

}  // namespace rein::training
