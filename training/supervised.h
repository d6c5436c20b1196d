// SFT, reward-model, cost-model, guard and DPO training, offline.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/lora.h"
#include "models/vision_language_model.h"
#include "training/corpus.h"
#include "training/optimizer.h"
#include "training/ranks.h"

namespace rein::training {

struct TrainProgress {
  int64_t step = 0;
  int64_t total = 0;
  std::map<std::string, double> metrics;  // loss, learning_rate, accuracy, ...
};
using TrainProgressFn = std::function<void(const TrainProgress&)>;

// What all of them are told.
struct OfflineOptions {
  uint64_t seed = 1;
  std::filesystem::path model, data, evaluation, output;
  int64_t steps = 0;
  int64_t batch = 32;  // examples or pairs
  int64_t evaluate_every = 0;
  std::vector<std::string> freeze;
  OptimizerOptions optimizer;
  models::LoraOptions lora;
  bool keep_best = false;  // write the weights of the evaluation with the smallest loss, not the last ones
  int64_t save_every = 0;  // steps between two training states; 0: none
  bool resume = false;     // go on from the newest training state
  int64_t picture_bytes = CorpusLimits().pixel_bytes;
  Ranks* ranks = nullptr;  // those that train together, whose options are equal; null: this process alone
  // Called for each model before it is loaded; what it returns is told how far that is.
  std::function<models::LoadProgressFn(const std::filesystem::path& folder)> loading;
};

// The trainings below read rows of any format (data/preferences.h): SFT questions with an answer, reward
// models and DPO by helpfulness pairs that were ranked so, cost models and DPO by safety whole pairs. They
// shuffle them by `seed` and epoch, divide the rows of each step over the `ranks`, call `progress` after each
// step (metrics: loss, learning_rate, grad_norm, rows_dropped; more for pairs; after an evaluation its
// metrics with "evaluation_" in front) and write `output` whole or not at all; a folder that holds anything
// is refused (ALREADY_EXISTS). With adapters `output` holds the merged model and, in adapter/, the adapters.
// They evaluate every `evaluate_every` steps (0: never) and after the last one, on `evaluation`, or on the
// first rows of `data` where that is empty. A score head is drawn from `seed` where the model has none. Equal
// options and thread counts give equal bytes, also when a training was cut off and resumed. With another
// number of ranks they are equal up to rounding. Metrics and training states are kept in `output`.training
// (training/training_folder.h); rank 0 writes all.
//
// Metrics of the last evaluation are returned, with `keep_best` those of the best one. Errors: those of
// loading data and model; INVALID_ARGUMENT (options); DATA_LOSS (loss not finite); NOT_FOUND and
// INVALID_ARGUMENT
// (`resume`: no state, or one of other options), ALREADY_EXISTS (a state is there and `resume` is not set),
// those of Ranks. All ranks return the same error.

struct SftOptions : OfflineOptions {};

// Causal cross-entropy on response tokens, packed; question and the first answer are the example. A `model`
// folder without weights starts from random ones, drawn from `seed`. Evaluates loss, token_accuracy.
absl::StatusOr<std::map<std::string, double>> TrainSft(const SftOptions& options,
                                                       const TrainProgressFn& progress);

struct PreferenceOptions : OfflineOptions {
  double regularization = 0.001;
  bool binary_labels = false;  // cost only
  double sign_scale = 1.0;     // cost only
};

// Pairwise logistic loss on end scores. Evaluates loss, ranking_accuracy.
absl::StatusOr<std::map<std::string, double>> TrainRewardModel(const PreferenceOptions& options,
                                                               const TrainProgressFn& progress);
// With the sign terms: the less safe answer should cost more. Labels are s = -harmless_rate, or with
// `binary_labels` +1 for unsafe and -1 for safe. Evaluates loss, ranking_accuracy, and judged by the ratings
// sign_accuracy, auc, calibration_error and brier_score (left out where the data does not define them).
absl::StatusOr<std::map<std::string, double>> TrainCostModel(const PreferenceOptions& options,
                                                             const TrainProgressFn& progress);

struct GuardOptions : OfflineOptions {
  double category_weight = 1;         // of the categories' loss, beside the levels of severity
  double false_positive_rate = 0.05;  // that thresholds may have where they are chosen
};

// A guard (docs/guard.md): the model with a guard head, taken from `model` or drawn from `seed`, on questions
// and answers whose harm is known (data::Need::kModeration). Mean negative log-likelihood of the levels plus
// the mean cross-entropy of the categories. Evaluates what MeasureModeration measures; `output` is the model
// folder with guard_head.safetensors and guard_config.json.
absl::StatusOr<std::map<std::string, double>> TrainGuard(const GuardOptions& options,
                                                         const TrainProgressFn& progress);

struct DpoOptions : OfflineOptions {
  std::filesystem::path reference;  // empty: `model`
  double beta = 0.1;
  bool by_safety = false;  // the safer answer is the chosen one, not the more helpful one
};

// Direct preference optimisation against a frozen reference, whose log-probabilities are computed once a pair
// before the first step. Evaluates loss, accuracy (share of pairs whose chosen answer has the larger implicit
// reward), margin, chosen_reward and rejected_reward, where the implicit reward of an answer is beta times
// its log-probability over that of the reference. The reference needs the tokenizer of `model`.
absl::StatusOr<std::map<std::string, double>> TrainDpo(const DpoOptions& options,
                                                       const TrainProgressFn& progress);

}  // namespace rein::training
