// One optimizer step of the policy and of a critic (docs/algorithm.md, losses). No RPC: the actors call this,
// and so do the benches.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/lora.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/optimizer.h"

namespace rein::training {

// A prompt with its response, as tokens. Pictures are shared between the samples of a prompt: each distinct
// object is encoded once a micro-batch (once for ever where the vision tower and projector are frozen).
struct Sequence {
  std::string id;
  std::vector<int32_t> prompt;
  std::vector<int32_t> response;  // L >= 1
  std::vector<std::shared_ptr<const models::ProcessedImage>> images;
};

struct PolicySequence {
  Sequence sequence;
  std::vector<float> behaviour_logprobs;  // [L]
  std::vector<float> advantages;          // [L]
  double token_weight = 0;                // weight of each token's loss; they sum to 1 over batch and tokens
};

struct CriticSequence {
  Sequence sequence;
  std::vector<float> old_values;  // [L]
  std::vector<float> returns;     // [L]
  double token_weight = 0;
};

// A supervised example for PTX and SFT; only response tokens are counted.
struct SupervisedSequence {
  Sequence sequence;
};

using Metrics = std::map<std::string, double>;
// done, total micro-batches.
using ProgressFn = std::function<void(int, int)>;

// Log-probabilities of response tokens at `temperature` under `allowed`, float32 [L] each; padding-free
// micro-batches of at most `micro_batch_tokens`. Used by the reference actor. Results do not depend on how
// samples are grouped, up to rounding.
absl::StatusOr<std::vector<std::vector<float>>> ResponseLogProbs(models::VisionLanguageModel& model,
                                                                 absl::Span<const Sequence> sequences,
                                                                 double temperature,
                                                                 const at::Tensor& allowed,
                                                                 int64_t micro_batch_tokens);
// End scores, one a sequence: the score head at the last response token.
absl::StatusOr<std::vector<float>> EndScores(models::VisionLanguageModel& model,
                                             absl::Span<const Sequence> sequences,
                                             int64_t micro_batch_tokens);
// V(s_t) before each response token, float32 [L] each: the score head at the position that predicts the
// token.
absl::StatusOr<std::vector<std::vector<float>>> ResponseValues(models::VisionLanguageModel& model,
                                                               absl::Span<const Sequence> sequences,
                                                               int64_t micro_batch_tokens);

struct PolicyOptions {
  OptimizerOptions optimizer;
  std::vector<std::string> freeze;
  models::LoraOptions lora;
  double temperature = 1.0;
  double clip_ratio = 0.2;
  double behaviour_ratio_cap = 2.0;
  double ptx_coefficient =
      16.0;  // the step is on (grad L_actor + coefficient grad L_ptx) / 2 where a PTX batch is given
};

class PolicyTrainer {
 public:
  // Errors: INVALID_ARGUMENT (freeze or lora.targets name nothing). The model outlives the trainer.
  static absl::StatusOr<std::unique_ptr<PolicyTrainer>> Create(models::VisionLanguageModel* model,
                                                               at::Tensor allowed,
                                                               const PolicyOptions& options);
  virtual ~PolicyTrainer() = default;
  // One optimizer step: forward and backward in micro-batches, then AdamW. Metrics: loss, ptx_loss (0 without
  // PTX), grad_norm, learning_rate, tokens; and over all tokens, with rho = exp(logp_old - logp_behaviour):
  // clip_fraction (share with |rho - 1| > clip_ratio), entropy, approx_kl (mean of rho - 1 - log rho),
  // logprob_gap_mean and _max (|log rho|). `progress` counts micro-batches. Errors: INVALID_ARGUMENT (lengths
  // disagree, a token that cannot be sampled), DATA_LOSS (input, loss or gradient not finite: names up to
  // three samples; weights and optimizer unchanged).
  virtual absl::StatusOr<Metrics> Step(absl::Span<const PolicySequence> batch,
                                       absl::Span<const SupervisedSequence> ptx, int64_t total_steps,
                                       const ProgressFn& progress) = 0;
  virtual AdamW& optimizer() = 0;
  // The adapters that train; null where the weights themselves do.
  virtual models::Lora* lora() = 0;
};

struct CriticOptions {
  OptimizerOptions optimizer;
  std::vector<std::string> freeze;
  models::LoraOptions lora;
  double value_clip = 5.0;
};

class CriticTrainer {
 public:
  static absl::StatusOr<std::unique_ptr<CriticTrainer>> Create(models::VisionLanguageModel* model,
                                                               const CriticOptions& options);
  virtual ~CriticTrainer() = default;
  // Metrics: loss, grad_norm, learning_rate, explained_variance, tokens. Errors: as PolicyTrainer::Step.
  virtual absl::StatusOr<Metrics> Step(absl::Span<const CriticSequence> batch, int64_t total_steps,
                                       const ProgressFn& progress) = 0;
  virtual AdamW& optimizer() = 0;
  // The adapters that train; null where the weights themselves do.
  virtual models::Lora* lora() = 0;
};

}  // namespace rein::training
