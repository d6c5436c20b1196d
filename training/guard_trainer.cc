// Guard training: declared in supervised.h.
#include <ATen/ATen.h>

#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log_line.h"
#include "base/status.h"
#include "guard/head/guard_head.h"
#include "training/moderation.h"
#include "training/offline.h"
#include "training/pairs.h"
#include "training/supervised.h"

namespace rein::training {
namespace {

using Rows = OfflineTraining::Rows;
using Examples = std::vector<ModerationExample>;

absl::Status CheckOptions(const GuardOptions& options) {
  const auto invalid = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  if (!(options.category_weight >= 0 && std::isfinite(options.category_weight)))
    return invalid("category_weight is ", options.category_weight, "; 0 or more is needed");
  if (!(options.false_positive_rate >= 0 && options.false_positive_rate <= 0.5))
    return invalid("false_positive_rate is ", options.false_positive_rate, "; from 0 to 0.5 are possible");
  return absl::OkStatus();
}

// Head and thresholds, beside the model.
class HeadBesideModel : public Companion {
 public:
  explicit HeadBesideModel(const GuardOptions& options) : model_(options.model), seed_(options.seed) {}

  absl::StatusOr<models::NamedTensors> Attach(const models::VisionLanguageModel& model) override {
    hidden_ = model.shape().hidden;
    if (guard::HasGuardHead(model_)) {
      REIN_ASSIGN_OR_RETURN(head_, guard::ReadGuardHead(model_, hidden_));
    } else {
      head_ = guard::DrawGuardHead(hidden_, seed_);
    }
    for (at::Tensor* tensor : {&head_.weight, &head_.bias})
      *tensor = tensor->to(model.tensors().front().second.device()).requires_grad_(true);
    return models::NamedTensors{{"guard_head.weight", head_.weight}, {"guard_head.bias", head_.bias}};
  }

  absl::Status Save(const std::filesystem::path& folder) const override {
    REIN_RETURN_IF_ERROR(guard::WriteGuardHead(head_, folder));
    return guard::WriteGuardConfig(config_, folder);
  }

  absl::Status Load(const std::filesystem::path& folder) override {
    REIN_ASSIGN_OR_RETURN(const guard::GuardHead stored, guard::ReadGuardHead(folder, hidden_));
    head_.weight.detach().copy_(stored.weight);
    head_.bias.detach().copy_(stored.bias);
    return absl::OkStatus();
  }

  const guard::GuardHead& head() const { return head_; }
  void SetConfig(guard::GuardConfig config) { config_ = std::move(config); }

 private:
  const std::filesystem::path model_;
  const uint64_t seed_;
  int64_t hidden_ = 0;
  guard::GuardHead head_;
  guard::GuardConfig config_;  // of the last evaluation
};

class ModerationTask {
 public:
  ModerationTask(OfflineTraining& training, HeadBesideModel& head, const GuardOptions& options)
      : training_(training), head_(head), options_(options) {}

  // Losses and metrics of a step are means over examples.
  static double Weight(const Rows& rows) { return static_cast<double>(ExamplesOf(rows).size()); }

  absl::StatusOr<LossPart> Part(const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    LossPart part;
    part.item_tokens = Tokens(rows);
    part.item_name = [rows](size_t item) { return rows[item]->id; };
    metrics["accuracy"] = 0;
    const double all = Weight(rows);
    part.loss = [=, this, &corpus, &metrics](size_t begin, size_t end) -> absl::StatusOr<at::Tensor> {
      const Examples examples = ExamplesOf(Slice(rows, begin, end));
      REIN_ASSIGN_OR_RETURN(const at::Tensor logits, Logits(corpus, examples));
      const std::vector<guard::Label> labels = LabelsOf(examples);
      metrics["accuracy"] += RightAtAHalf(logits, labels) / all;
      return guard::GuardLoss(logits, labels, options_.category_weight).sum() / all;
    };
    return part;
  }

  absl::StatusOr<Metrics> Evaluate(const Corpus& corpus, const Rows& rows) {
    // Of each row kSlots times the logits, zeros where the row has no such example.
    const auto values = [&](const Rows& some) -> absl::StatusOr<at::Tensor> {
      const Examples examples = ExamplesOf(some);
      REIN_ASSIGN_OR_RETURN(const at::Tensor logits, Logits(corpus, examples));
      const auto rows_of_all = static_cast<int64_t>(some.size() * kSlots);
      return at::zeros({rows_of_all, guard::kHeadLogits}, logits.options())
          .index_copy(0, SlotsOf(examples).to(logits.device()), logits)
          .view({static_cast<int64_t>(some.size()), -1});
    };
    REIN_ASSIGN_OR_RETURN(const at::Tensor all, training_.ValuesOf(rows, Tokens(rows), values));
    const Examples examples = ExamplesOf(rows);
    const at::Tensor logits =
        all.view({-1, guard::kHeadLogits}).index_select(0, SlotsOf(examples)).to(at::kFloat);
    Measured measured = MeasureModeration(examples, logits,
                                          {.false_positive_rate = options_.false_positive_rate,
                                           .category_weight = options_.category_weight,
                                           .seed = options_.seed,
                                           .held_out = !options_.evaluation.empty()});
    head_.SetConfig(std::move(measured.config));
    return std::move(measured.metrics);
  }

 private:
  // Examples that a row may have: the question and two answers.
  static constexpr size_t kSlots = 3;

  static at::Tensor SlotsOf(const Examples& examples) {
    std::vector<int64_t> slots;
    for (const ModerationExample& example : examples)
      slots.push_back(static_cast<int64_t>(example.row_number * kSlots) + example.answer + 1);
    return at::tensor(slots, at::kLong);
  }

  static std::vector<int64_t> Tokens(const Rows& rows) {
    std::vector<int64_t> tokens(rows.size());
    for (const ModerationExample& example : ExamplesOf(rows)) tokens[example.row_number] += TokensOf(example);
    return tokens;
  }

  // float32 [N, guard::kHeadLogits], one row an example.
  absl::StatusOr<at::Tensor> Logits(const Corpus& corpus, const Examples& examples) {
    REIN_ASSIGN_OR_RETURN(const std::vector<Sequence> sequences, SequencesOf(corpus, examples));
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output output,
                          training_.forward().Run(Pointers(sequences), Positions::kLast));
    return guard::HeadLogits(head_.head(), output.hidden);
  }

  // Examples whose level, or whether it is safe where no more is known, thresholds of 0.5 would find.
  static double RightAtAHalf(const at::Tensor& logits, const std::vector<guard::Label>& labels) {
    const at::Tensor host = logits.detach().to(at::kCPU).contiguous();
    double right = 0;
    for (size_t i = 0; i < labels.size(); ++i) {
      const auto row =
          absl::MakeConstSpan(host.const_data_ptr<float>() + i * guard::kHeadLogits, guard::kHeadLogits);
      const int level = static_cast<int>(guard::Decide(guard::AtOrAbove(row), {0.5, 0.5, 0.5}));
      right += level >= labels[i].at_least && level <= labels[i].at_most ? 1 : 0;
    }
    return right;
  }

  OfflineTraining& training_;
  HeadBesideModel& head_;
  const GuardOptions& options_;
};

void LogCounts(const std::filesystem::path& data, const Corpus& corpus) {
  Rows rows;
  for (const CorpusRow& row : corpus.rows()) rows.push_back(&row);
  const ModerationCounts counts = CountExamples(ExamplesOf(rows));
  LogInfo(absl::StrCat(data.string(), ": ", rows.size(), " rows (", corpus.dropped(), " dropped) give ",
                       counts.questions, " questions and ", counts.answers, " answers; ",
                       counts.unsafe_without_rate, " unsafe answers have no rate, ",
                       counts.harmful_without_category,
                       " harmful examples have none of the 20 categories: neither is guessed"));
}

}  // namespace

absl::StatusOr<Metrics> TrainGuard(const GuardOptions& options, const TrainProgressFn& progress) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  HeadBesideModel head(options);
  OfflineKind kind{.need = data::Need::kModeration, .companion = &head};
  kind.settings = {{"kind", "guard"},
                   {"category_weight", options.category_weight},
                   {"false_positive_rate", options.false_positive_rate}};
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<OfflineTraining> training,
                        OfflineTraining::Create(options, kind));
  LogCounts(options.data, training->training_rows());
  ModerationTask moderation(*training, head, options);
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    return moderation.Part(corpus, rows, metrics);
  };
  task.weight = ModerationTask::Weight;
  task.evaluate = [&](const Corpus& corpus, const Rows& rows) { return moderation.Evaluate(corpus, rows); };
  return training->Run(task, progress);
}

}  // namespace rein::training
