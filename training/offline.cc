#include "training/offline.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "collectives/staged_weights.h"
#include "kernels/precision.h"
#include "models/folder.h"
#include "training/guard.h"
#include "training/packing.h"
#include "training/pairs.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;

// Rows of the training data that stand in where no evaluation data is given.
constexpr size_t kStandInRows = 512;

absl::Status CheckOutput(const fs::path& output) {
  if (output.empty()) return absl::InvalidArgumentError("output must name a folder");
  std::error_code error;
  if (fs::exists(output, error) && !fs::is_empty(output, error)) {
    return absl::AlreadyExistsError(
        absl::StrCat("output ", output.string(), " exists and is not empty: remove it or name another"));
  }
  return absl::OkStatus();
}

absl::Status CheckOptions(const OfflineOptions& options) {
  if (options.steps < 1)
    return absl::InvalidArgumentError(absl::StrCat("steps must be at least 1, not ", options.steps));
  if (options.batch < 1)
    return absl::InvalidArgumentError(absl::StrCat("batch must be at least 1, not ", options.batch));
  if (options.keep_best && options.evaluate_every < 1) {
    return absl::InvalidArgumentError(
        "keep: best chooses between evaluations: set evaluate_every, or keep: last");
  }
  return CheckOutput(options.output);
}

// A resumed training needs a state, a fresh one must not run over one.
absl::Status CheckStates(const TrainingFolder& folder, bool resume) {
  const int64_t newest = folder.NewestState();
  const std::string where = folder.State(newest).parent_path().string();
  if (resume && newest == 0) {
    return absl::NotFoundError(absl::StrCat(
        "--resume: ", where, " holds no training state; start without --resume and with save_every"));
  }
  if (!resume && newest > 0) {
    return absl::AlreadyExistsError(absl::StrCat(where, " holds the state after step ", newest,
                                                 ": go on with --resume, or remove the folder"));
  }
  return absl::OkStatus();
}

// Weights under a name of any kind, pickles and shards that lack their index included.
bool HoldsWeights(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".safetensors") return true;
  }
  return !absl::IsNotFound(models::WeightFiles(folder).status());
}

nlohmann::json OptimizerSettings(const OptimizerOptions& options) {
  return {{"learning_rate", options.learning_rate},
          {"schedule", static_cast<int>(options.schedule)},
          {"warmup_ratio", options.warmup_ratio},
          {"betas", {options.beta1, options.beta2}},
          {"epsilon", options.epsilon},
          {"weight_decay", options.weight_decay},
          {"gradient_clip", options.gradient_clip},
          {"micro_batch_tokens", options.micro_batch_tokens},
          {"precision", c10::toString(options.precision)}};
}

// By which rows are divided over ranks: of the sequences that are computed of each.
std::vector<int64_t> TokensOf(const OfflineTraining::Rows& rows, data::Need need) {
  return need == data::Need::kAnswer ? FirstAnswerTokens(rows) : PairTokens(rows);
}

nlohmann::json LoraSettings(const models::LoraOptions& options) {
  return {{"rank", options.rank},
          {"alpha", options.alpha},
          {"dropout", options.dropout},
          {"targets", options.targets}};
}

}  // namespace

absl::StatusOr<std::unique_ptr<models::VisionLanguageModel>> LoadModelOf(const OfflineOptions& options,
                                                                         const fs::path& folder) {
  models::LoadOptions load;
  if (options.loading) load.progress = options.loading(folder);
  return models::LoadModel(folder, load);
}

absl::StatusOr<std::unique_ptr<OfflineTraining>> OfflineTraining::Create(const OfflineOptions& options,
                                                                         const OfflineKind& kind) {
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<OfflineTraining>> {
    std::unique_ptr<OfflineTraining> training(new OfflineTraining(options, kind));
    REIN_RETURN_IF_ERROR(training->ranks().Agree(Guarded([&] { return training->Load(); })));
    REIN_RETURN_IF_ERROR(training->CheckRanksAreAlike());
    return training;
  });
}

absl::Status OfflineTraining::Load() {
  REIN_RETURN_IF_ERROR(CheckOptions(options_));
  REIN_RETURN_IF_ERROR(CheckStates(folder_, options_.resume));
  if (options_.resume) start_ = folder_.NewestState();
  REIN_ASSIGN_OR_RETURN(processor_, models::Processor::Load(options_.model));
  REIN_RETURN_IF_ERROR(LoadModel());
  const auto load = [&](const fs::path& data, int64_t pixel_bytes) {
    return Corpus::Load(data, *processor_, model_->shape(), {pixel_bytes}, kind_.need);
  };
  REIN_ASSIGN_OR_RETURN(corpus_, load(options_.data, options_.picture_bytes));
  if (!options_.evaluation.empty()) {
    const int64_t left = options_.picture_bytes - corpus_->pixel_bytes();
    REIN_ASSIGN_OR_RETURN(evaluation_, load(options_.evaluation, left));
  }
  REIN_RETURN_IF_ERROR(Prepare());
  return start_ > 0 ? ReadState() : absl::OkStatus();
}

// The weights of a state take the place of the model's; adapters are put on the model's own again.
absl::Status OfflineTraining::LoadModel() {
  const bool from_state = start_ > 0 && options_.lora.rank == 0;
  const fs::path folder = from_state ? folder_.State(start_) / "model" : options_.model;
  if (kind_.may_draw_weights && !HoldsWeights(folder)) {
    LogInfo(absl::StrCat(folder.string(), " holds no weights: they are drawn from seed ", options_.seed));
    REIN_ASSIGN_OR_RETURN(model_, models::MakeRandomModel(folder, options_.seed));
  } else {
    REIN_ASSIGN_OR_RETURN(model_, LoadModelOf(options_, folder));
  }
  REIN_RETURN_IF_ERROR(models::CheckVocabulary(*processor_, *model_));
  if (kind_.score_head && !model_->shape().has_score_head) model_->AddScoreHead(options_.seed);
  return absl::OkStatus();
}

absl::Status OfflineTraining::Prepare() {
  REIN_ASSIGN_OR_RETURN(Trainable trainable, PrepareTraining(*model_, options_.freeze, options_.lora));
  model_->CheckpointActivations(options_.optimizer.checkpoint_activations);
  forward_.emplace(model_.get(), trainable.images_frozen);
  lora_ = std::move(trainable.lora);
  if (kind_.companion != nullptr) {
    REIN_ASSIGN_OR_RETURN(const models::NamedTensors along, kind_.companion->Attach(*model_));
    trainable.parameters.insert(trainable.parameters.end(), along.begin(), along.end());
  }
  optimizer_.emplace(std::move(trainable.parameters), options_.optimizer);
  return absl::OkStatus();
}

// What a resumed training must have in common with the one it continues.
nlohmann::json OfflineTraining::Settings() const {
  nlohmann::json settings = {{"seed", options_.seed},
                             {"model", options_.model.string()},
                             {"data", options_.data.string()},
                             {"rows", corpus_->rows().size()},
                             {"evaluation", options_.evaluation.string()},
                             {"steps", options_.steps},
                             {"batch", options_.batch},
                             {"freeze", options_.freeze},
                             {"optimizer", OptimizerSettings(options_.optimizer)},
                             {"lora", LoraSettings(options_.lora)},
                             {"keep", options_.keep_best ? "best" : "last"}};
  settings.update(kind_.settings);
  return settings;
}

// Other data, weights or settings on some rank would give no error but another model.
absl::Status OfflineTraining::CheckRanksAreAlike() const {
  if (ranks().world() == 1) return absl::OkStatus();
  nlohmann::json mine = Settings();
  // Hosts may keep the same files in other places.
  for (const char* path : {"model", "data", "evaluation", "reference"}) mine.erase(path);
  mine["data"] = {training_rows().checksum(), evaluation_rows().checksum()};
  mine["model"] = collectives::Fingerprint(model_->tensors());
  REIN_ASSIGN_OR_RETURN(const std::vector<std::string> all, ranks().Gather(mine.dump()));
  for (size_t rank = 1; rank < all.size(); ++rank) {
    const std::vector<std::string> differences =
        Differences(nlohmann::json::parse(all[0]), nlohmann::json::parse(all[rank]));
    if (differences.empty()) continue;
    return absl::InvalidArgumentError(absl::StrCat("rank ", rank, " has other values than rank 0 of ",
                                                   absl::StrJoin(differences, ", "),
                                                   ": give all ranks the same file, model and data"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Metrics> OfflineTraining::Run(const Task& task, const TrainProgressFn& progress) {
  return Guarded([&]() -> absl::StatusOr<Metrics> {
    REIN_RETURN_IF_ERROR(ranks().OnFirst([&]() -> absl::Status {
      REIN_RETURN_IF_ERROR(folder_.OpenLogs(start_));
      // A training that was cut off may have gone beyond its state.
      folder_.KeepOnly(start_, best_.step);
      return absl::OkStatus();
    }));
    data::EpochOrder order(options_.seed, corpus_->rows().size());
    Metrics last;
    for (int64_t step = start_ + 1; step <= options_.steps; ++step) {
      REIN_ASSIGN_OR_RETURN(Metrics metrics, Step(task, step - 1, order));
      const bool evaluates =
          step == options_.steps || (options_.evaluate_every > 0 && step % options_.evaluate_every == 0);
      if (evaluates) {
        REIN_ASSIGN_OR_RETURN(last, Evaluate(task));
        for (const auto& [name, value] : last) metrics["evaluation_" + name] = value;
      }
      const bool is_best = evaluates && IsBest(last);
      if (is_best) best_ = {step, last};
      REIN_RETURN_IF_ERROR(ranks().OnFirst([&] { return Record(step, metrics, is_best); }));
      if (progress) progress({step, options_.steps, metrics});
    }
    REIN_RETURN_IF_ERROR(ranks().OnFirst([&] { return WriteOutput(); }));
    return options_.keep_best ? best_.metrics : last;
  });
}

absl::Status OfflineTraining::Record(int64_t step, const Metrics& metrics, bool is_best) {
  if (is_best) REIN_RETURN_IF_ERROR(KeepBest());
  REIN_RETURN_IF_ERROR(folder_.Log(step, metrics));
  const bool saves = step < options_.steps && options_.save_every > 0 && step % options_.save_every == 0;
  return saves ? SaveState(step) : absl::OkStatus();
}

OfflineTraining::Rows OfflineTraining::RowsOf(int64_t step, data::EpochOrder& order) const {
  Rows rows;
  for (int64_t i = 0; i < options_.batch; ++i)
    rows.push_back(&corpus_->rows()[order.At(step * options_.batch + i)]);
  return rows;
}

OfflineTraining::Rows OfflineTraining::RowsOfEvaluation() const {
  const std::vector<CorpusRow>& all = evaluation_rows().rows();
  Rows rows;
  for (size_t i = 0; i < (evaluation_ ? all.size() : std::min(all.size(), kStandInRows)); ++i)
    rows.push_back(&all[i]);
  return rows;
}

OfflineTraining::Rows OfflineTraining::RowsAhead() const {
  data::EpochOrder order(options_.seed, corpus_->rows().size());
  std::vector<bool> used(corpus_->rows().size());
  Rows rows;
  const auto add = [&](const CorpusRow* row) {
    const auto index = static_cast<size_t>(row - corpus_->rows().data());
    if (!used[index]) rows.push_back(row);
    used[index] = true;
  };
  for (int64_t step = start_; step < options_.steps && rows.size() < used.size(); ++step) {
    for (const CorpusRow* row : RowsOf(step, order)) add(row);
  }
  for (const CorpusRow* row : RowsOfEvaluation()) {
    if (evaluation_) {
      rows.push_back(row);
    } else {
      add(row);
    }
  }
  return rows;
}

std::vector<size_t> OfflineTraining::ItemsOfRank(absl::Span<const int64_t> tokens) const {
  return DivideByTokens(tokens, static_cast<size_t>(ranks().world()))[ranks().rank()];
}

absl::StatusOr<Metrics> OfflineTraining::Step(const Task& task, int64_t step, data::EpochOrder& order) {
  const Rows all = RowsOf(step, order);
  Rows mine;
  for (const size_t i : ItemsOfRank(TokensOf(all, kind_.need))) mine.push_back(all[i]);
  const auto weight = [&](const Rows& rows) {
    return task.weight ? task.weight(rows) : static_cast<double>(rows.size());
  };
  Metrics metrics;
  absl::StatusOr<LossPart> part = Guarded([&] { return task.loss(*corpus_, mine, metrics); });
  REIN_RETURN_IF_ERROR(ranks().Agree(part.status()));
  part->share = weight(mine) / weight(all);
  REIN_ASSIGN_OR_RETURN(const StepOutcome outcome,
                        TakeStep(*optimizer_, lora_.get(), absl::MakeSpan(&*part, 1), micro_batch_tokens(),
                                 options_.steps, nullptr, ranks_));
  for (auto& [name, value] : metrics) value *= part->share;
  REIN_ASSIGN_OR_RETURN(metrics, ranks().Sum(metrics));
  metrics["loss"] = outcome.losses[0];
  metrics["learning_rate"] = outcome.update.learning_rate;
  metrics["rows_dropped"] = static_cast<double>(corpus_->dropped());
  metrics["grad_norm"] = outcome.update.gradient_norm;
  return metrics;
}

absl::StatusOr<at::Tensor> OfflineTraining::ValuesOfRank(const Rows& rows, absl::Span<const int64_t> tokens,
                                                         const RowValuesFn& values) const {
  const c10::NoGradGuard no_grad;
  const kernels::ProductPrecision precision(options_.optimizer.precision);
  Rows mine;
  std::vector<int64_t> my_tokens;
  for (const size_t i : ItemsOfRank(tokens)) {
    mine.push_back(rows[i]);
    my_tokens.push_back(tokens[i]);
  }
  std::vector<at::Tensor> parts;
  for (const MicroBatch& items : PackByTokens(my_tokens, micro_batch_tokens())) {
    REIN_ASSIGN_OR_RETURN(const at::Tensor part, values(Slice(mine, items.begin, items.end)));
    parts.push_back(part.to(at::kCPU, at::kDouble));
  }
  return parts.empty() ? at::empty({0, 0}, at::kDouble) : at::cat(parts).contiguous();
}

absl::StatusOr<at::Tensor> OfflineTraining::ValuesOf(const Rows& rows, absl::Span<const int64_t> tokens,
                                                     const RowValuesFn& values) const {
  absl::StatusOr<at::Tensor> mine = Guarded([&] { return ValuesOfRank(rows, tokens, values); });
  REIN_RETURN_IF_ERROR(ranks().Agree(mine.status()));
  const std::string bytes(static_cast<const char*>(mine->const_data_ptr()), mine->nbytes());
  REIN_ASSIGN_OR_RETURN(std::vector<std::string> parts, ranks().Gather(bytes));
  const std::vector<std::vector<size_t>> divided = DivideByTokens(tokens, parts.size());
  at::Tensor all;
  for (size_t rank = 0; rank < parts.size(); ++rank) {
    if (divided[rank].empty()) continue;
    const std::vector<int64_t> indices(divided[rank].begin(), divided[rank].end());
    const auto part = at::from_blob(parts[rank].data(),
                                    {static_cast<int64_t>(parts[rank].size() / sizeof(double))}, at::kDouble)
                          .view({static_cast<int64_t>(indices.size()), -1});
    if (!all.defined()) all = at::empty({static_cast<int64_t>(rows.size()), part.size(1)}, at::kDouble);
    all.index_copy_(0, at::tensor(indices, at::kLong), part);
  }
  return all;
}

absl::StatusOr<Metrics> OfflineTraining::Evaluate(const Task& task) const {
  const c10::NoGradGuard no_grad;
  return task.evaluate(evaluation_rows(), RowsOfEvaluation());
}

bool OfflineTraining::IsBest(const Metrics& evaluation) const {
  if (!options_.keep_best) return false;
  return best_.step == 0 || evaluation.at("loss") < best_.metrics.at("loss");
}

absl::Status OfflineTraining::KeepBest() {
  REIN_RETURN_IF_ERROR(TrainingFolder::Commit(folder_.Best(best_.step),
                                              [&](const fs::path& folder) { return WriteModel(folder); }));
  // Until the next state is saved, a resumed training needs the best model that the last one names.
  if (options_.save_every == 0) folder_.KeepOnly(0, best_.step);
  return absl::OkStatus();
}

absl::Status OfflineTraining::SaveState(int64_t step) {
  REIN_RETURN_IF_ERROR(folder_.Flush());
  const auto write = [&](const fs::path& folder) -> absl::Status {
    REIN_RETURN_IF_ERROR(MakeFolder(folder));
    if (lora_) {
      REIN_RETURN_IF_ERROR(lora_->Save(folder / "adapter", options_.model));
    } else {
      REIN_RETURN_IF_ERROR(models::SaveModel(*model_, folder / "model"));
    }
    if (kind_.companion != nullptr) REIN_RETURN_IF_ERROR(kind_.companion->Save(folder));
    REIN_RETURN_IF_ERROR(optimizer_->Save(folder / "optimizer.safetensors"));
    const nlohmann::json state = {{"format", 1},
                                  {"step", step},
                                  {"settings", Settings()},
                                  {"ranks", ranks().world()},
                                  {"best_step", best_.step},
                                  {"best_metrics", best_.metrics}};
    return WriteFileAtomically(folder / "state.json", state.dump(2) + "\n");
  };
  REIN_RETURN_IF_ERROR(TrainingFolder::Commit(folder_.State(step), write));
  folder_.KeepOnly(step, best_.step);
  return absl::OkStatus();
}

absl::Status OfflineTraining::ReadState() {
  const fs::path folder = folder_.State(start_), file = folder / "state.json";
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file));
  const nlohmann::json state = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!state.is_object() || state.value("format", 0) != 1 || state.value("step", int64_t{0}) != start_) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), " is no training state of step ", start_));
  }
  const std::vector<std::string> differences =
      Differences(state.value("settings", nlohmann::json::object()), Settings());
  if (!differences.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        file.string(), ": the training to resume has other values of ", absl::StrJoin(differences, ", "),
        ": resume with the same file, or remove ", folder.parent_path().string(), " to start anew"));
  }
  if (lora_) {
    REIN_ASSIGN_OR_RETURN(const models::NamedTensors values, lora_->Read(folder / "adapter"));
    lora_->Set(values);
  }
  if (kind_.companion != nullptr) REIN_RETURN_IF_ERROR(kind_.companion->Load(folder));
  best_ = {state.value("best_step", int64_t{0}), state.value("best_metrics", Metrics())};
  LogInfo(absl::StrCat("resuming after step ", start_, " of ", options_.steps));
  if (const int before = state.value("ranks", 1); before != ranks().world()) {
    LogInfo(absl::StrCat("the state was written by ", before, " processes, ", ranks().world(),
                         " go on: the result is that of ", before, " up to rounding"));
  }
  return optimizer_->Load(folder / "optimizer.safetensors");
}

absl::Status OfflineTraining::WriteModel(const fs::path& folder) const {
  REIN_RETURN_IF_ERROR(models::SaveModel(*model_, folder));
  if (kind_.companion != nullptr) REIN_RETURN_IF_ERROR(kind_.companion->Save(folder));
  return lora_ ? lora_->Save(folder / "adapter", options_.model) : absl::OkStatus();
}

absl::Status OfflineTraining::WriteOutput() {
  REIN_RETURN_IF_ERROR(folder_.Flush());
  if (options_.keep_best) {
    REIN_RETURN_IF_ERROR(TrainingFolder::Move(folder_.Best(best_.step), options_.output));
  } else {
    REIN_RETURN_IF_ERROR(
        TrainingFolder::Commit(options_.output, [&](const fs::path& folder) { return WriteModel(folder); }));
  }
  folder_.KeepOnly(0, 0);
  return absl::OkStatus();
}

}  // namespace rein::training
