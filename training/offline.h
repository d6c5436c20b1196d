// What all offline trainings share: folders, shuffling, evaluation, training states and the loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/epoch_order.h"
#include "models/lora.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "nlohmann/json.hpp"
#include "training/corpus.h"
#include "training/ranks.h"
#include "training/sequence_forward.h"
#include "training/step.h"
#include "training/supervised.h"
#include "training/training_folder.h"

namespace rein::training {

// Parameters that train along with a model's, and the files that keep them: the head of a guard. The one
// that trains owns it. Life: 1. Attach. 2. Load, where a training is resumed. 3. Save, whenever the model is.
class Companion {
 public:
  virtual ~Companion() = default;
  // Its parameters, float32 and on the model's device. They train whole, also where the model gets adapters.
  virtual absl::StatusOr<models::NamedTensors> Attach(const models::VisionLanguageModel& model) = 0;
  // Into the folder of a state, a best model or the output, beside what is there.
  virtual absl::Status Save(const std::filesystem::path& folder) const = 0;
  // Values of a state, into the parameters in place.
  virtual absl::Status Load(const std::filesystem::path& folder) = 0;
};

// What tells one kind of training from another.
struct OfflineKind {
  bool may_draw_weights = false;        // a model folder without weights gives random ones
  bool score_head = false;              // added where the model has none
  data::Need need = data::Need::kPair;  // of the rows
  Companion* companion = nullptr;       // outlives the training; null: none
  // Of its own; a training is resumed with equal ones only.
  nlohmann::json settings = nlohmann::json::object();
};

// LoadModel with the progress that `options` ask for.
absl::StatusOr<std::unique_ptr<models::VisionLanguageModel>> LoadModelOf(const OfflineOptions& options,
                                                                         const std::filesystem::path& folder);

// 1. Create loads and checks everything, the output folder and the state to resume from included. 2. Run
// trains, evaluates and saves.
class OfflineTraining {
 public:
  using Rows = std::vector<const CorpusRow*>;
  // How one kind of training computes.
  struct Task {
    // Adds to `metrics` while the losses are computed.
    std::function<absl::StatusOr<LossPart>(const Corpus& corpus, const Rows& rows, Metrics& metrics)> loss;
    // Given the same rows on all ranks; ValuesOf divides them.
    std::function<absl::StatusOr<Metrics>(const Corpus& corpus, const Rows& rows)> evaluate;
    // What losses and metrics of `loss` are means over, e.g. response tokens; empty: rows.
    std::function<double(const Rows& rows)> weight;
  };
  // float [rows, W]: W values of each row.
  using RowValuesFn = std::function<absl::StatusOr<at::Tensor>(const Rows& rows)>;

  static absl::StatusOr<std::unique_ptr<OfflineTraining>> Create(const OfflineOptions& options,
                                                                 const OfflineKind& kind);

  // Returns the metrics of the evaluation that speaks for what is written.
  absl::StatusOr<Metrics> Run(const Task& task, const TrainProgressFn& progress);

  // The rows of the steps that are left, each once, then the rows of evaluations.
  Rows RowsAhead() const;

  // What `values` gives for all rows, float64 [rows, W] on the CPU. Computed without gradients in the
  // precision of training, in micro-batches by `tokens` (one count a row), divided over the ranks. Errors:
  // those of `values` and of Ranks, the same on all ranks.
  absl::StatusOr<at::Tensor> ValuesOf(const Rows& rows, absl::Span<const int64_t> tokens,
                                      const RowValuesFn& values) const;

  Ranks& ranks() const { return *ranks_; }

  const Corpus& training_rows() const { return *corpus_; }
  const Corpus& evaluation_rows() const { return evaluation_ ? *evaluation_ : *corpus_; }
  const models::Processor& processor() const { return *processor_; }
  SequenceForward& forward() { return *forward_; }
  int64_t micro_batch_tokens() const { return options_.optimizer.micro_batch_tokens; }

 private:
  struct Best {
    int64_t step = 0;
    Metrics metrics;
  };

  OfflineTraining(const OfflineOptions& options, const OfflineKind& kind)
      : options_(options),
        kind_(kind),
        folder_(options.output),
        ranks_(options.ranks == nullptr ? &alone_ : options.ranks) {}
  absl::Status Load();
  absl::Status LoadModel();
  absl::Status Prepare();
  nlohmann::json Settings() const;
  absl::Status CheckRanksAreAlike() const;

  Rows RowsOf(int64_t step, data::EpochOrder& order) const;
  Rows RowsOfEvaluation() const;
  absl::StatusOr<Metrics> Step(const Task& task, int64_t step, data::EpochOrder& order);
  // Which of the items with these tokens are this rank's.
  std::vector<size_t> ItemsOfRank(absl::Span<const int64_t> tokens) const;
  absl::StatusOr<at::Tensor> ValuesOfRank(const Rows& rows, absl::Span<const int64_t> tokens,
                                          const RowValuesFn& values) const;
  absl::StatusOr<Metrics> Evaluate(const Task& task) const;
  bool IsBest(const Metrics& evaluation) const;
  absl::Status KeepBest();
  absl::Status Record(int64_t step, const Metrics& metrics, bool is_best);

  absl::Status SaveState(int64_t step);
  absl::Status ReadState();
  absl::Status WriteModel(const std::filesystem::path& folder) const;
  absl::Status WriteOutput();

  const OfflineOptions options_;
  const OfflineKind kind_;
  TrainingFolder folder_;
  Ranks alone_;
  Ranks* const ranks_;
  int64_t start_ = 0;  // steps done before
  Best best_;
  std::unique_ptr<models::Processor> processor_;
  std::unique_ptr<models::VisionLanguageModel> model_;
  std::optional<Corpus> corpus_, evaluation_;
  std::optional<SequenceForward> forward_;
  std::unique_ptr<models::Lora> lora_;
  std::optional<AdamW> optimizer_;
};

}  // namespace rein::training
