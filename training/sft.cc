#include <ATen/ATen.h>

#include <memory>

#include "base/status.h"
#include "kernels/ops.h"
#include "training/offline.h"
#include "training/pairs.h"
#include "training/supervised.h"
#include "training/supervised_loss.h"

namespace rein::training {
namespace {

using Rows = OfflineTraining::Rows;

absl::StatusOr<std::vector<Sequence>> FirstAnswers(const Corpus& corpus, const Rows& rows) {
  std::vector<Sequence> sequences;
  for (const CorpusRow* row : rows) {
    REIN_ASSIGN_OR_RETURN(sequences.emplace_back(), corpus.SequenceOf(*row, 0));
  }
  return sequences;
}

double ResponseTokens(const Rows& rows) {
  double tokens = 0;
  for (const CorpusRow* row : rows) tokens += static_cast<double>(row->responses[0].size());
  return tokens;
}

LossPart SftLoss(SequenceForward& forward, const Corpus& corpus, const Rows& rows) {
  LossPart part;
  part.item_tokens = FirstAnswerTokens(rows);
  part.item_name = [rows](size_t item) { return rows[item]->id; };
  part.loss = [&forward, &corpus, rows, tokens = ResponseTokens(rows)](
                  size_t begin, size_t end) -> absl::StatusOr<at::Tensor> {
    REIN_ASSIGN_OR_RETURN(const std::vector<Sequence> sequences,
                          FirstAnswers(corpus, Slice(rows, begin, end)));
    return SupervisedLoss(forward, Pointers(sequences), tokens);
  };
  return part;
}

// Mean cross-entropy and the share of response tokens whose logit is the largest.
absl::StatusOr<Metrics> EvaluateSft(OfflineTraining& training, const Corpus& corpus, const Rows& rows) {
  SequenceForward forward(&training.forward().model(), /*reuse_features=*/false);
  const auto values = [&](const Rows& some) -> absl::StatusOr<at::Tensor> {
    REIN_ASSIGN_OR_RETURN(const std::vector<Sequence> sequences, FirstAnswers(corpus, some));
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output output,
                          forward.Run(Pointers(sequences), Positions::kPredictResponse));
    const at::Tensor logits = forward.model().Logits(output.hidden);
    const at::Tensor logprob = kernels::LogProbAndEntropy(logits, output.targets, 1.0, {}).logprob;
    const at::Tensor correct = logits.argmax(-1).eq(output.targets).to(at::kFloat);
    return SumsBySequence(at::stack({-logprob, correct}, 1), sequences);
  };
  REIN_ASSIGN_OR_RETURN(const at::Tensor sums, training.ValuesOf(rows, FirstAnswerTokens(rows), values));
  const at::Tensor means = sums.sum(0) / ResponseTokens(rows);
  return Metrics{{"loss", means[0].item<double>()}, {"token_accuracy", means[1].item<double>()}};
}

}  // namespace

absl::StatusOr<Metrics> TrainSft(const SftOptions& options, const TrainProgressFn& progress) {
  REIN_ASSIGN_OR_RETURN(
      const std::unique_ptr<OfflineTraining> training,
      OfflineTraining::Create(
          options, {.may_draw_weights = true, .need = data::Need::kAnswer, .settings = {{"kind", "sft"}}}));
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const Rows& rows, Metrics&) -> absl::StatusOr<LossPart> {
    return SftLoss(training->forward(), corpus, rows);
  };
  task.evaluate = [&](const Corpus& corpus, const Rows& rows) {
    return EvaluateSft(*training, corpus, rows);
  };
  task.weight = ResponseTokens;
  return training->Run(task, progress);
}

}  // namespace rein::training
