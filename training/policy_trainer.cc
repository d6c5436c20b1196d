#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "kernels/ops.h"
#include "learning/tensor/losses.h"
#include "training/checks.h"
#include "training/guard.h"
#include "training/rl_trainer.h"
#include "training/sequence_forward.h"
#include "training/step.h"
#include "training/supervised_loss.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

// How the policy that trains differs from the one that sampled, over all tokens of a step.
class TokenStatistics {
 public:
  explicit TokenStatistics(double clip_ratio) : clip_ratio_(clip_ratio) {}

  // float32 [N] each.
  void Add(const at::Tensor& logprob, const at::Tensor& behaviour, const at::Tensor& entropy) {
    const at::Tensor log_ratio = (logprob - behaviour).to(at::kCPU).contiguous();
    const float* values = log_ratio.const_data_ptr<float>();
    for (int64_t i = 0; i < log_ratio.numel(); ++i) AddToken(values[i]);
    entropy_ += entropy.sum(at::kDouble).item<double>();
  }

  void AppendTo(Metrics& metrics) const {
    metrics["tokens"] = tokens_;
    metrics["entropy"] = entropy_ / tokens_;
    metrics["approx_kl"] = kl_ / tokens_;
    metrics["clip_fraction"] = outside_ / tokens_;
    metrics["logprob_gap_mean"] = gap_ / tokens_;
    metrics["logprob_gap_max"] = largest_gap_;
  }

 private:
  void AddToken(double log_ratio) {
    const double ratio = std::exp(log_ratio);
    tokens_ += 1;
    gap_ += std::abs(log_ratio);
    largest_gap_ = std::max(largest_gap_, std::abs(log_ratio));
    kl_ += ratio - 1 - log_ratio;
    outside_ += std::abs(ratio - 1) > clip_ratio_ ? 1 : 0;
  }

  double clip_ratio_;
  double tokens_ = 0, gap_ = 0, largest_gap_ = 0, kl_ = 0, entropy_ = 0, outside_ = 0;
};

class PolicyTrainerImpl final : public PolicyTrainer {
 public:
  PolicyTrainerImpl(models::VisionLanguageModel* model, at::Tensor allowed, const PolicyOptions& options,
                    Trainable trainable)
      : options_(options),
        forward_(model, trainable.images_frozen),
        host_allowed_(HostMask(allowed)),
        allowed_(allowed.defined() ? allowed.to(forward_.device()) : allowed),
        lora_(std::move(trainable.lora)),
        optimizer_(std::move(trainable.parameters), options.optimizer) {
    model->CheckpointActivations(options.optimizer.checkpoint_activations);
  }

  absl::StatusOr<Metrics> Step(absl::Span<const PolicySequence> batch,
                               absl::Span<const SupervisedSequence> ptx, int64_t total_steps,
                               const ProgressFn& progress) override {
    REIN_RETURN_IF_ERROR(Check(batch));
    for (const SupervisedSequence& item : ptx) {
      REIN_RETURN_IF_ERROR(CheckSequence(item.sequence, forward_.model().shape().vocab_size, {}));
    }
    TokenStatistics statistics(options_.clip_ratio);
    std::vector<LossPart> parts = {ActorPart(batch, statistics)};
    if (!ptx.empty()) {
      parts[0].scale = 0.5;
      parts.push_back(SupervisedLoss(forward_, SequencesOf(ptx)));
      parts[1].scale = 0.5 * options_.ptx_coefficient;
    }
    REIN_ASSIGN_OR_RETURN(const StepOutcome outcome,
                          TakeStep(optimizer_, lora_.get(), parts, options_.optimizer.micro_batch_tokens,
                                   total_steps, progress));
    Metrics metrics = {{"loss", outcome.losses[0]},
                       {"ptx_loss", ptx.empty() ? 0 : outcome.losses[1]},
                       {"grad_norm", outcome.update.gradient_norm},
                       {"learning_rate", outcome.update.learning_rate}};
    statistics.AppendTo(metrics);
    return metrics;
  }

  AdamW& optimizer() override { return optimizer_; }
  models::Lora* lora() override { return lora_.get(); }

 private:
  absl::Status Check(absl::Span<const PolicySequence> batch) const {
    if (batch.empty()) return absl::InvalidArgumentError("the batch has no sample");
    std::vector<std::string> broken;
    for (const PolicySequence& item : batch) {
      const Sequence& sequence = item.sequence;
      REIN_RETURN_IF_ERROR(CheckSequence(sequence, forward_.model().shape().vocab_size, host_allowed_));
      REIN_RETURN_IF_ERROR(CheckLength(sequence, item.behaviour_logprobs, "behaviour log-probabilities"));
      REIN_RETURN_IF_ERROR(CheckLength(sequence, item.advantages, "advantages"));
      if (!AllFinite(item.behaviour_logprobs) || !AllFinite(item.advantages) ||
          !std::isfinite(item.token_weight)) {
        broken.push_back(sequence.id);
      }
    }
    if (broken.empty()) return absl::OkStatus();
    return NotFiniteError("behaviour log-probabilities, advantages or weight not finite", broken);
  }

  LossPart ActorPart(absl::Span<const PolicySequence> batch, TokenStatistics& statistics) {
    LossPart part;
    for (const PolicySequence& item : batch) {
      part.item_tokens.push_back(ForwardTokens(item.sequence, Positions::kPredictResponse));
    }
    part.item_name = [batch](size_t item) { return batch[item].sequence.id; };
    part.loss = [this, batch, &statistics](size_t begin, size_t end) {
      return ActorLoss(batch.subspan(begin, end - begin), statistics);
    };
    return part;
  }

  // With one update a batch the first forward is the old policy: the ratio is 1 and carries the gradient.
  absl::StatusOr<at::Tensor> ActorLoss(absl::Span<const PolicySequence> items, TokenStatistics& statistics) {
    REIN_ASSIGN_OR_RETURN(const SequenceForward::Output rows,
                          forward_.Run(SequencesOf(items), Positions::kPredictResponse));
    const kernels::LogProbEntropy output = kernels::LogProbAndEntropy(
        forward_.model().Logits(rows.hidden), rows.targets, options_.temperature, allowed_);
    const at::Tensor old = output.logprob.detach();
    const at::Tensor behaviour = Concatenate(items, &PolicySequence::behaviour_logprobs, forward_.device());
    const at::Tensor advantage = Concatenate(items, &PolicySequence::advantages, forward_.device());
    const at::Tensor loss = learning::PolicyTokenLoss(output.logprob, old, behaviour, advantage,
                                                      options_.clip_ratio, options_.behaviour_ratio_cap);
    statistics.Add(old, behaviour, output.entropy.detach());
    return (loss * TokenWeights(items, forward_.device())).sum();
  }

  PolicyOptions options_;
  SequenceForward forward_;
  at::Tensor host_allowed_, allowed_;
  std::unique_ptr<models::Lora> lora_;
  AdamW optimizer_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<PolicyTrainer>> PolicyTrainer::Create(models::VisionLanguageModel* model,
                                                                     at::Tensor allowed,
                                                                     const PolicyOptions& options) {
  return Guarded([&]() -> absl::StatusOr<std::unique_ptr<PolicyTrainer>> {
    if (!(options.temperature > 0)) {
      return absl::InvalidArgumentError(
          absl::StrCat("temperature must be greater than 0 to train, not ", options.temperature));
    }
    REIN_ASSIGN_OR_RETURN(Trainable trainable, PrepareTraining(*model, options.freeze, options.lora));
    return std::make_unique<PolicyTrainerImpl>(model, std::move(allowed), options, std::move(trainable));
  });
}

}  // namespace rein::training
