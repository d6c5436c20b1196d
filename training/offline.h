// What SFT, reward and cost training share: folders, shuffling, evaluation and the loop.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/epoch_order.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/corpus.h"
#include "training/sequence_forward.h"
#include "training/step.h"
#include "training/supervised.h"

namespace rein::training {

// The options that all offline trainings have; see supervised.h.
struct OfflineOptions {
  uint64_t seed = 1;
  std::filesystem::path model, data, evaluation, output;
  int64_t steps = 0, batch = 0, evaluate_every = 0;
  std::vector<std::string> freeze;
  OptimizerOptions optimizer;
  bool score_head = false;  // added where the model has none
};

template <typename Options>
OfflineOptions CommonOptions(const Options& options, bool score_head) {
  return {options.seed,   options.model,     options.data,  options.evaluation,
          options.output, options.steps,     options.batch, options.evaluate_every,
          options.freeze, options.optimizer, score_head};
}

// 1. Create loads and checks everything, the output folder included. 2. Run trains, evaluates and saves.
class OfflineTraining {
 public:
  using Rows = std::vector<const CorpusRow*>;
  // How one kind of training computes.
  struct Task {
    // Adds to `metrics` while the losses are computed.
    std::function<absl::StatusOr<LossPart>(const Corpus& corpus, const Rows& rows, Metrics& metrics)> loss;
    std::function<absl::StatusOr<Metrics>(const Corpus& corpus, const Rows& rows)> evaluate;
  };

  static absl::StatusOr<std::unique_ptr<OfflineTraining>> Create(const OfflineOptions& options);

  // Returns the metrics of the last evaluation.
  absl::StatusOr<Metrics> Run(const Task& task, const TrainProgressFn& progress);

  SequenceForward& forward() { return *forward_; }
  int64_t micro_batch_tokens() const { return options_.optimizer.micro_batch_tokens; }

 private:
  explicit OfflineTraining(const OfflineOptions& options) : options_(options) {}
  absl::Status Load();
  absl::StatusOr<Metrics> Step(const Task& task, int64_t step, data::EpochOrder& order);
  absl::StatusOr<Metrics> Evaluate(const Task& task) const;
  absl::Status Save() const;

  OfflineOptions options_;
  std::unique_ptr<models::Processor> processor_;
  std::unique_ptr<models::VisionLanguageModel> model_;
  std::optional<Corpus> corpus_, evaluation_;
  std::optional<SequenceForward> forward_;
  std::optional<AdamW> optimizer_;
};

}  // namespace rein::training
