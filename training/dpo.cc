// Direct preference optimisation; declared in supervised.h.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log_line.h"
#include "base/status.h"
#include "kernels/ops.h"
#include "learning/tensor/losses.h"
#include "training/guard.h"
#include "training/offline.h"
#include "training/pairs.h"
#include "training/ranking.h"
#include "training/supervised.h"

namespace rein::training {
namespace {

using Rows = OfflineTraining::Rows;

// Log-probabilities of whole answers.
struct PairLogProbs {
  at::Tensor chosen, rejected;  // float32 [B]
};

// Sums over all response tokens.
absl::StatusOr<PairLogProbs> LogProbs(SequenceForward& forward, const Corpus& corpus, const Rows& rows,
                                      FirstAnswerFn chosen) {
  REIN_ASSIGN_OR_RETURN(const std::vector<Sequence> sequences, PairSequences(corpus, rows, chosen));
  REIN_ASSIGN_OR_RETURN(const SequenceForward::Output output,
                        forward.Run(Pointers(sequences), Positions::kPredictResponse));
  const at::Tensor tokens =
      kernels::LogProbAndEntropy(forward.model().Logits(output.hidden), output.targets, 1.0, {}).logprob;
  const std::vector<at::Tensor> halves = SumsBySequence(tokens, sequences).to(at::kFloat).chunk(2);
  return PairLogProbs{halves[0], halves[1]};
}

// The reference's log-probabilities of every pair that training and evaluation will see.
class ReferenceLogProbs {
 public:
  void Add(const Rows& rows, const PairLogProbs& logprobs) {
    const std::vector<float> first = ToVector(logprobs.chosen), second = ToVector(logprobs.rejected);
    for (size_t i = 0; i < rows.size(); ++i) values_[rows[i]] = {first[i], second[i]};
  }

  PairLogProbs Of(const Rows& rows, at::Device device) const {
    std::vector<float> first, second;
    for (const CorpusRow* row : rows) {
      const auto& [chosen, rejected] = values_.at(row);
      first.push_back(chosen);
      second.push_back(rejected);
    }
    return {ToTensor(first, device), ToTensor(second, device)};
  }

 private:
  std::unordered_map<const CorpusRow*, std::array<float, 2>> values_;
};

class DpoTask {
 public:
  DpoTask(OfflineTraining& training, const DpoOptions& options)
      : training_(training),
        options_(options),
        chosen_(options.by_safety ? SaferAnswer : MoreHelpfulAnswer) {}

  // Loads the reference, asks it, and lets it go.
  absl::Status AskReference() {
    std::unique_ptr<models::VisionLanguageModel> model;
    REIN_RETURN_IF_ERROR(training_.ranks().Agree(Guarded([&] { return LoadReference(model); })));
    SequenceForward forward(model.get(), /*reuse_features=*/true);
    const Rows rows = training_.RowsAhead();
    LogInfo(absl::StrCat("computing log-probabilities of ", rows.size(), " pairs under ",
                         model->source().string()));
    const auto is_training_row = [&](const CorpusRow* row) { return OfTrainingData(row); };
    const auto middle = std::find_if_not(rows.begin(), rows.end(), is_training_row);
    REIN_RETURN_IF_ERROR(Ask(forward, training_.training_rows(), Rows(rows.begin(), middle)));
    return Ask(forward, training_.evaluation_rows(), Rows(middle, rows.end()));
  }

  absl::StatusOr<LossPart> Part(const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    LossPart part;
    part.item_tokens = PairTokens(rows);
    part.item_name = [rows](size_t item) { return rows[item]->id; };
    part.loss = [this, &corpus, rows, &metrics](size_t begin, size_t end) -> absl::StatusOr<at::Tensor> {
      const Rows some = Slice(rows, begin, end);
      const double share = static_cast<double>(some.size()) / static_cast<double>(rows.size());
      REIN_ASSIGN_OR_RETURN(const PairLogProbs policy, LogProbs(forward(), corpus, some, chosen_));
      return Loss(policy, some, share, metrics) * share;
    };
    return part;
  }

  absl::StatusOr<Metrics> Evaluate(const Corpus& corpus, const Rows& rows) {
    REIN_ASSIGN_OR_RETURN(const PairLogProbs policy, LogProbsOfAll(forward(), corpus, rows));
    Metrics metrics;
    metrics["loss"] = Loss(policy, rows, /*share=*/1, metrics).item<double>();
    return metrics;
  }

 private:
  SequenceForward& forward() const { return training_.forward(); }

  bool OfTrainingData(const CorpusRow* row) const {
    const std::vector<CorpusRow>& rows = training_.training_rows().rows();
    return row >= rows.data() && row < rows.data() + rows.size();
  }

  absl::Status LoadReference(std::unique_ptr<models::VisionLanguageModel>& model) const {
    const std::filesystem::path& folder = options_.reference.empty() ? options_.model : options_.reference;
    REIN_ASSIGN_OR_RETURN(const auto processor, models::Processor::Load(folder));
    REIN_ASSIGN_OR_RETURN(model, LoadModelOf(options_, folder));
    if (processor->tokenizer_digest() != training_.processor().tokenizer_digest()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "reference ", folder.string(), " has another tokenizer than ", options_.model.string(),
          ": log-probabilities of other tokens cannot be compared; name a model of the same family"));
    }
    return absl::OkStatus();
  }

  absl::Status Ask(SequenceForward& forward, const Corpus& corpus, const Rows& rows) {
    if (rows.empty()) return absl::OkStatus();
    REIN_ASSIGN_OR_RETURN(const PairLogProbs logprobs, LogProbsOfAll(forward, corpus, rows));
    reference_.Add(rows, logprobs);
    return absl::OkStatus();
  }

  // Without gradients, divided over the ranks.
  absl::StatusOr<PairLogProbs> LogProbsOfAll(SequenceForward& forward, const Corpus& corpus,
                                             const Rows& rows) const {
    const auto values = [&](const Rows& some) -> absl::StatusOr<at::Tensor> {
      REIN_ASSIGN_OR_RETURN(const PairLogProbs part, LogProbs(forward, corpus, some, chosen_));
      return at::stack({part.chosen, part.rejected}, 1);
    };
    REIN_ASSIGN_OR_RETURN(const at::Tensor columns, training_.ValuesOf(rows, PairTokens(rows), values));
    const at::Tensor logprobs = columns.to(this->forward().device(), at::kFloat);
    return PairLogProbs{logprobs.select(1, 0), logprobs.select(1, 1)};
  }

  // The mean over `rows`; adds what they have to say to `metrics`, weighted by their share of the batch.
  at::Tensor Loss(const PairLogProbs& policy, const Rows& rows, double share, Metrics& metrics) const {
    const PairLogProbs reference = reference_.Of(rows, policy.chosen.device());
    const at::Tensor chosen = options_.beta * (policy.chosen - reference.chosen);
    const at::Tensor rejected = options_.beta * (policy.rejected - reference.rejected);
    const auto mean = [](const at::Tensor& values) { return values.detach().mean().item<double>(); };
    metrics["accuracy"] += share * RankingAccuracy(ToVector(chosen), ToVector(rejected));
    metrics["chosen_reward"] += share * mean(chosen);
    metrics["rejected_reward"] += share * mean(rejected);
    metrics["margin"] += share * mean(chosen - rejected);
    return learning::DpoLoss(chosen, rejected);
  }

  OfflineTraining& training_;
  const DpoOptions& options_;
  const FirstAnswerFn chosen_;
  ReferenceLogProbs reference_;
};

}  // namespace

absl::StatusOr<Metrics> TrainDpo(const DpoOptions& options, const TrainProgressFn& progress) {
  if (!(options.beta > 0))
    return absl::InvalidArgumentError(absl::StrCat("beta must be more than 0, not ", options.beta));
  OfflineKind kind{.need = options.by_safety ? data::Need::kPair : data::Need::kHelpfulPair};
  kind.settings = {{"kind", "dpo"},
                   {"reference", options.reference.string()},
                   {"beta", options.beta},
                   {"preference", options.by_safety ? "safe" : "helpful"}};
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<OfflineTraining> training,
                        OfflineTraining::Create(options, kind));
  DpoTask dpo(*training, options);
  REIN_RETURN_IF_ERROR(Guarded([&] { return dpo.AskReference(); }));
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const Rows& rows, Metrics& metrics) {
    return dpo.Part(corpus, rows, metrics);
  };
  task.evaluate = [&](const Corpus& corpus, const Rows& rows) { return dpo.Evaluate(corpus, rows); };
  return training->Run(task, progress);
}

}  // namespace rein::training
