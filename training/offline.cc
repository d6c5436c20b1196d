#include "training/offline.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "models/folder.h"
#include "training/guard.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

// Rows of the training data that stand in where no evaluation data is given.
constexpr size_t kStandInRows = 512;

absl::Status CheckOptions(const OfflineOptions& options) {
  if (options.steps < 1)
    return absl::InvalidArgumentError(absl::StrCat("steps must be at least 1, not ", options.steps));
  if (options.batch < 1)
    return absl::InvalidArgumentError(absl::StrCat("batch must be at least 1, not ", options.batch));
  if (options.output.empty()) return absl::InvalidArgumentError("output must name a folder");
  std::error_code error;
  if (std::filesystem::exists(options.output, error) && !std::filesystem::is_empty(options.output, error)) {
    return absl::AlreadyExistsError(absl::StrCat("output ", options.output.string(),
                                                 " exists and is not empty: remove it or name another"));
  }
  return absl::OkStatus();
}

std::filesystem::path PartialFolder(const std::filesystem::path& output) {
  std::filesystem::path folder = output.has_filename() ? output : output.parent_path();
  return folder += ".partial";
}

// Weights under a name of any kind, pickles and shards that lack their index included.
bool HoldsWeights(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".safetensors") return true;
  }
  return !absl::IsNotFound(models::WeightFiles(folder).status());
}

// Supervised training may start from nothing: a folder without weights gives random ones. A scorer may not.
absl::StatusOr<std::unique_ptr<models::VisionLanguageModel>> LoadOrDraw(const OfflineOptions& options) {
  if (options.score_head || HoldsWeights(options.model)) return models::LoadModel(options.model);
  LogInfo(absl::StrCat(options.model.string(), " holds no weights: they are drawn from seed ", options.seed));
  return models::MakeRandomModel(options.model, options.seed);
}

}  // namespace

absl::StatusOr<std::unique_ptr<OfflineTraining>> OfflineTraining::Create(const OfflineOptions& options) {
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<OfflineTraining>> {
    REIN_RETURN_IF_ERROR(CheckOptions(options));
    std::unique_ptr<OfflineTraining> training(new OfflineTraining(options));
    REIN_RETURN_IF_ERROR(training->Load());
    return training;
  });
}

absl::Status OfflineTraining::Load() {
  REIN_ASSIGN_OR_RETURN(processor_, models::Processor::Load(options_.model));
  REIN_ASSIGN_OR_RETURN(model_, LoadOrDraw(options_));
  if (options_.score_head && !model_->shape().has_score_head) model_->AddScoreHead(options_.seed);
  REIN_ASSIGN_OR_RETURN(Trainable trainable, PrepareTraining(*model_, options_.freeze));
  REIN_ASSIGN_OR_RETURN(corpus_, Corpus::Load(options_.data, *processor_, model_->shape()));
  if (!options_.evaluation.empty()) {
    REIN_ASSIGN_OR_RETURN(evaluation_, Corpus::Load(options_.evaluation, *processor_, model_->shape()));
  }
  forward_.emplace(model_.get(), trainable.images_frozen);
  optimizer_.emplace(std::move(trainable.parameters), options_.optimizer);
  return absl::OkStatus();
}

absl::StatusOr<Metrics> OfflineTraining::Run(const Task& task, const TrainProgressFn& progress) {
  return Guarded([&]() -> absl::StatusOr<Metrics> {
    data::EpochOrder order(options_.seed, corpus_->rows().size());
    Metrics last;
    for (int64_t step = 0; step < options_.steps; ++step) {
      REIN_ASSIGN_OR_RETURN(Metrics metrics, Step(task, step, order));
      const bool is_last = step + 1 == options_.steps;
      if (is_last || (options_.evaluate_every > 0 && (step + 1) % options_.evaluate_every == 0)) {
        REIN_ASSIGN_OR_RETURN(last, Evaluate(task));
        for (const auto& [name, value] : last) metrics["evaluation_" + name] = value;
      }
      if (progress) progress({step + 1, options_.steps, metrics});
    }
    REIN_RETURN_IF_ERROR(Save());
    return last;
  });
}

absl::StatusOr<Metrics> OfflineTraining::Step(const Task& task, int64_t step, data::EpochOrder& order) {
  Rows rows;
  for (int64_t i = 0; i < options_.batch; ++i)
    rows.push_back(&corpus_->rows()[order.At(step * options_.batch + i)]);
  Metrics metrics;
  REIN_ASSIGN_OR_RETURN(const LossPart part, task.loss(*corpus_, rows, metrics));
  REIN_ASSIGN_OR_RETURN(const StepOutcome outcome, TakeStep(*optimizer_, absl::MakeSpan(&part, 1),
                                                            micro_batch_tokens(), options_.steps, nullptr));
  metrics["loss"] = outcome.losses[0];
  metrics["learning_rate"] = outcome.update.learning_rate;
  metrics["rows_dropped"] = static_cast<double>(corpus_->dropped());
  metrics["grad_norm"] = outcome.update.gradient_norm;
  return metrics;
}

absl::StatusOr<Metrics> OfflineTraining::Evaluate(const Task& task) const {
  const c10::NoGradGuard no_grad;
  const Corpus& corpus = evaluation_ ? *evaluation_ : *corpus_;
  const size_t count = evaluation_ ? corpus.rows().size() : std::min(corpus.rows().size(), kStandInRows);
  Rows rows;
  for (size_t i = 0; i < count; ++i) rows.push_back(&corpus.rows()[i]);
  return task.evaluate(corpus, rows);
}

absl::Status OfflineTraining::Save() const {
  const std::filesystem::path partial = PartialFolder(options_.output);
  std::error_code error;
  std::filesystem::remove_all(partial, error);
  if (absl::Status saved = models::SaveModel(*model_, partial); !saved.ok()) {
    std::filesystem::remove_all(partial, error);
    return saved;
  }
  std::filesystem::rename(partial, options_.output, error);
  if (error) return SystemError(error.value(), "rename the model to", options_.output);
  return Fsync(std::filesystem::absolute(options_.output).parent_path());
}

}  // namespace rein::training
