#include <ATen/ATen.h>

#include <cmath>

#include "base/status.h"
#include "learning/tensor/losses.h"
#include "training/checks.h"
#include "training/guard.h"
#include "training/rl_trainer.h"
#include "training/sequence_forward.h"
#include "training/step.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

// 1 - Var(returns - values) / Var(returns) over all tokens; 0 where the returns do not vary.
class ExplainedVariance {
 public:
  // float32 [N] each.
  void Add(const at::Tensor& values, const at::Tensor& returns) {
    const at::Tensor target = returns.to(at::kCPU, at::kDouble),
                     error = target - values.to(at::kCPU, at::kDouble);
    tokens_ += static_cast<double>(target.numel());
    target_.Add(target);
    error_.Add(error);
  }
  double value() const {
    const double total = target_.Variance(tokens_);
    return total > 0 ? 1 - error_.Variance(tokens_) / total : 0;
  }
  double tokens() const { return tokens_; }

 private:
  struct Moments {
    double sum = 0, squares = 0;
    void Add(const at::Tensor& x) {
      sum += x.sum().item<double>();
      squares += x.square().sum().item<double>();
    }
    double Variance(double n) const { return squares / n - (sum / n) * (sum / n); }
  };
  double tokens_ = 0;
  Moments target_, error_;
};

class CriticTrainerImpl final : public CriticTrainer {
 public:
  CriticTrainerImpl(models::VisionLanguageModel* model, const CriticOptions& options, Trainable trainable)
      : options_(options),
        forward_(model, trainable.images_frozen),
        lora_(std::move(trainable.lora)),
        optimizer_(std::move(trainable.parameters), options.optimizer) {
    model->CheckpointActivations(options.optimizer.checkpoint_activations);
  }

  absl::StatusOr<Metrics> Step(absl::Span<const CriticSequence> batch, int64_t total_steps,
                               const ProgressFn& progress) override {
    REIN_RETURN_IF_ERROR(Check(batch));
    ExplainedVariance explained;
    LossPart part;
    for (const CriticSequence& item : batch) {
      part.item_tokens.push_back(ForwardTokens(item.sequence, Positions::kPredictResponse));
    }
    part.item_name = [batch](size_t item) { return batch[item].sequence.id; };
    part.loss = [&](size_t begin, size_t end) { return Loss(batch.subspan(begin, end - begin), explained); };
    REIN_ASSIGN_OR_RETURN(const StepOutcome outcome,
                          TakeStep(optimizer_, lora_.get(), absl::MakeSpan(&part, 1),
                                   options_.optimizer.micro_batch_tokens, total_steps, progress));
    return Metrics{{"loss", outcome.losses[0]},
                   {"grad_norm", outcome.update.gradient_norm},
                   {"learning_rate", outcome.update.learning_rate},
                   {"explained_variance", explained.value()},
                   {"tokens", explained.tokens()}};
  }

  AdamW& optimizer() override { return optimizer_; }
  models::Lora* lora() override { return lora_.get(); }

 private:
  absl::Status Check(absl::Span<const CriticSequence> batch) const {
    if (batch.empty()) return absl::InvalidArgumentError("the batch has no sample");
    std::vector<std::string> broken;
    for (const CriticSequence& item : batch) {
      REIN_RETURN_IF_ERROR(CheckSequence(item.sequence, forward_.model().shape().vocab_size, {}));
      REIN_RETURN_IF_ERROR(CheckLength(item.sequence, item.old_values, "old values"));
      REIN_RETURN_IF_ERROR(CheckLength(item.sequence, item.returns, "returns"));
      if (!AllFinite(item.old_values) || !AllFinite(item.returns) || !std::isfinite(item.token_weight)) {
        broken.push_back(item.sequence.id);
      }
    }
    if (broken.empty()) return absl::OkStatus();
    return NotFiniteError("old values, returns or weight not finite", broken);
  }

  absl::StatusOr<at::Tensor> Loss(absl::Span<const CriticSequence> items, ExplainedVariance& explained) {
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output rows,
                          forward_.Run(SequencesOf(items), Positions::kPredictResponse));
    const at::Tensor values = forward_.model().Scores(rows.hidden);
    const at::Tensor old_values = Concatenate(items, &CriticSequence::old_values, forward_.device());
    const at::Tensor returns = Concatenate(items, &CriticSequence::returns, forward_.device());
    explained.Add(values.detach(), returns);
    const at::Tensor loss = learning::CriticTokenLoss(values, old_values, returns, options_.value_clip);
    return (loss * TokenWeights(items, forward_.device())).sum();
  }

  CriticOptions options_;
  SequenceForward forward_;
  std::unique_ptr<models::Lora> lora_;
  AdamW optimizer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CriticTrainer>> CriticTrainer::Create(models::VisionLanguageModel* model,
                                                                     const CriticOptions& options) {
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<CriticTrainer>> {
    if (!model->shape().has_score_head) {
      return absl::InvalidArgumentError(
          "a critic needs a score head: start it from a reward or cost model, or add the head first");
    }
    REIN_ASSIGN_OR_RETURN(Trainable trainable, PrepareTraining(*model, options.freeze, options.lora));
    return std::make_unique<CriticTrainerImpl>(model, options, std::move(trainable));
  });
}

}  // namespace rein::training
