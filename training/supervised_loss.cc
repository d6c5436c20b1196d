#include "training/supervised_loss.h"

#include <ATen/ATen.h>

#include <utility>

#include "base/status.h"
#include "kernels/ops.h"

namespace rein::training {

absl::StatusOr<at::Tensor> SupervisedLoss(SequenceForward& forward,
                                          absl::Span<const Sequence* const> sequences, double tokens) {
  REIN_ASSIGN_OR_RETURN(const SequenceForward::Output rows,
                        forward.Run(sequences, Positions::kPredictResponse));
  const at::Tensor logits = forward.model().Logits(rows.hidden);
  return kernels::LogProbAndEntropy(logits, rows.targets, 1.0, {}).logprob.sum() * (-1 / tokens);
}

LossPart SupervisedLoss(SequenceForward& forward, std::vector<const Sequence*> sequences) {
  LossPart part;
  double tokens = 0;
  for (const Sequence* sequence : sequences) {
    part.item_tokens.push_back(ForwardTokens(*sequence, Positions::kPredictResponse));
    tokens += static_cast<double>(sequence->response.size());
  }
  part.item_name = [sequences](size_t item) { return sequences[item]->id; };
  part.loss = [&forward, sequences = std::move(sequences), tokens](size_t begin,
                                                                   size_t end) -> absl::StatusOr<at::Tensor> {
    return SupervisedLoss(forward, absl::MakeSpan(sequences).subspan(begin, end - begin), tokens);
  };
  return part;
}

}  // namespace rein::training
