#include <ATen/ATen.h>

#include <memory>

#include "base/status.h"
#include "kernels/ops.h"
#include "training/offline.h"
#include "training/packing.h"
#include "training/pairs.h"
#include "training/supervised.h"
#include "training/supervised_loss.h"

namespace rein::training {
namespace {

using Sequences = std::vector<Sequence>;

absl::StatusOr<std::shared_ptr<const Sequences>> FirstAnswers(const Corpus& corpus,
                                                              const OfflineTraining::Rows& rows) {
  auto sequences = std::make_shared<Sequences>();
  for (const CorpusRow* row : rows) {
    REIN_ASSIGN_OR_RETURN(sequences->emplace_back(), corpus.SequenceOf(*row, 0));
  }
  return sequences;
}

// Mean cross-entropy and the share of response tokens whose logit is the largest.
absl::StatusOr<Metrics> EvaluateSft(OfflineTraining& training, const Corpus& corpus,
                                    const OfflineTraining::Rows& rows) {
  double loss = 0, correct = 0, tokens = 0;
  std::vector<int64_t> row_tokens;
  for (const CorpusRow* row : rows) {
    row_tokens.push_back(static_cast<int64_t>(row->prompt.size() + row->responses[0].size()));
  }
  SequenceForward forward(&training.forward().model(), /*reuse_features=*/false);
  for (const MicroBatch& items : PackByTokens(row_tokens, training.micro_batch_tokens())) {
    REIN_ASSIGN_OR_RETURN(const auto sequences, FirstAnswers(corpus, Slice(rows, items.begin, items.end)));
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output output,
                          forward.Run(Pointers(*sequences), Positions::kPredictResponse));
    const at::Tensor logits = forward.model().Logits(output.hidden);
    loss -=
        kernels::LogProbAndEntropy(logits, output.targets, 1.0, {}).logprob.sum(at::kDouble).item<double>();
    correct += logits.argmax(-1).eq(output.targets).sum().item<double>();
    tokens += static_cast<double>(output.targets.numel());
  }
  return Metrics{{"loss", loss / tokens}, {"token_accuracy", correct / tokens}};
}

}  // namespace

absl::StatusOr<Metrics> TrainSft(const SftOptions& options, const TrainProgressFn& progress) {
  REIN_ASSIGN_OR_RETURN(
      const std::unique_ptr<OfflineTraining> training,
      OfflineTraining::Create(
          options, {.may_draw_weights = true, .need = data::Need::kAnswer, .settings = {{"kind", "sft"}}}));
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const OfflineTraining::Rows& rows,
                  Metrics&) -> absl::StatusOr<LossPart> {
    REIN_ASSIGN_OR_RETURN(const auto sequences, FirstAnswers(corpus, rows));
    LossPart part = SupervisedLoss(training->forward(), Pointers(*sequences));
    // The part refers to the sequences: it keeps them alive.
    part.item_name = [sequences](size_t item) { return (*sequences)[item].id; };
    return part;
  };
  task.evaluate = [&](const Corpus& corpus, const OfflineTraining::Rows& rows) {
    return EvaluateSft(*training, corpus, rows);
  };
  return training->Run(task, progress);
}

}  // namespace rein::training
