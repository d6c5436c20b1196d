// Log-probabilities, end scores and values without gradient: declared in rl_trainer.h.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <functional>

#include "base/status.h"
#include "kernels/ops.h"
#include "training/checks.h"
#include "training/guard.h"
#include "training/packing.h"
#include "training/rl_trainer.h"
#include "training/sequence_forward.h"

namespace rein::training {
namespace {

// What is read from the rows of one micro-batch: [N] -> float32 [N].
using ReadRows = std::function<at::Tensor(const SequenceForward::Output&)>;

std::vector<float> ToVector(const at::Tensor& values) {
  const at::Tensor host = values.to(at::kCPU, at::kFloat).contiguous();
  return {host.const_data_ptr<float>(), host.const_data_ptr<float>() + host.numel()};
}

absl::Status CheckScoreHead(const models::VisionLanguageModel& model) {
  if (model.shape().has_score_head) return absl::OkStatus();
  return absl::FailedPreconditionError("the model in '" + model.source().string() +
                                       "' has no score head: train it with rein train reward or cost first");
}

// All sequences' rows, end to end.
absl::StatusOr<std::vector<float>> RunAll(models::VisionLanguageModel& model,
                                          absl::Span<const Sequence> sequences, Positions positions,
                                          int64_t micro_batch_tokens, const ReadRows& read) {
  const c10::NoGradGuard no_grad;
  std::vector<const Sequence*> pointers;
  std::vector<int64_t> tokens;
  for (const Sequence& sequence : sequences) {
    REIN_RETURN_IF_ERROR(CheckSequence(sequence, model.shape().vocab_size, {}));
    pointers.push_back(&sequence);
    tokens.push_back(ForwardTokens(sequence, positions));
  }
  SequenceForward forward(&model, /*reuse_features=*/true);
  std::vector<float> all;
  for (const MicroBatch& items : PackByTokens(tokens, micro_batch_tokens)) {
    const auto part = absl::MakeSpan(pointers).subspan(items.begin, items.end - items.begin);
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output rows, forward.Run(part, positions));
    const std::vector<float> values = ToVector(read(rows));
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

std::vector<std::vector<float>> SplitByResponse(const std::vector<float>& all,
                                                absl::Span<const Sequence> sequences) {
  std::vector<std::vector<float>> split;
  auto begin = all.begin();
  for (const Sequence& sequence : sequences) {
    const auto end = begin + static_cast<int64_t>(sequence.response.size());
    split.emplace_back(begin, end);
    begin = end;
  }
  return split;
}

}  // namespace

absl::StatusOr<std::vector<std::vector<float>>> ResponseLogProbs(models::VisionLanguageModel& model,
                                                                 absl::Span<const Sequence> sequences,
                                                                 double temperature,
                                                                 const at::Tensor& allowed,
                                                                 int64_t micro_batch_tokens) {
  return Guarded([&]() -> absl::StatusOr<std::vector<std::vector<float>>> {
    for (const Sequence& sequence : sequences) {
      REIN_RETURN_IF_ERROR(CheckSequence(sequence, model.shape().vocab_size, HostMask(allowed)));
    }
    const auto read = [&](const SequenceForward::Output& rows) {
      return kernels::LogProbAndEntropy(model.Logits(rows.hidden), rows.targets, temperature, allowed)
          .logprob;
    };
    REIN_ASSIGN_OR_RETURN(const std::vector<float> all,
                          RunAll(model, sequences, Positions::kPredictResponse, micro_batch_tokens, read));
    return SplitByResponse(all, sequences);
  });
}

absl::StatusOr<std::vector<float>> EndScores(models::VisionLanguageModel& model,
                                             absl::Span<const Sequence> sequences,
                                             int64_t micro_batch_tokens) {
  return Guarded([&]() -> absl::StatusOr<std::vector<float>> {
    REIN_RETURN_IF_ERROR(CheckScoreHead(model));
    const auto read = [&](const SequenceForward::Output& rows) { return model.Scores(rows.hidden); };
    return RunAll(model, sequences, Positions::kLast, micro_batch_tokens, read);
  });
}

absl::StatusOr<std::vector<std::vector<float>>> ResponseValues(models::VisionLanguageModel& model,
                                                               absl::Span<const Sequence> sequences,
                                                               int64_t micro_batch_tokens) {
  return Guarded([&]() -> absl::StatusOr<std::vector<std::vector<float>>> {
    REIN_RETURN_IF_ERROR(CheckScoreHead(model));
    const auto read = [&](const SequenceForward::Output& rows) { return model.Scores(rows.hidden); };
    REIN_ASSIGN_OR_RETURN(const std::vector<float> all,
                          RunAll(model, sequences, Positions::kPredictResponse, micro_batch_tokens, read));
    return SplitByResponse(all, sequences);
  });
}

}  // namespace rein::training
