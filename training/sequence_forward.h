// From sequences to the hidden states that a loss or a score is computed from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "models/vision_language_model.h"
#include "training/image_encoder.h"
#include "training/rl_trainer.h"

namespace rein::training {

// The positions that matter.
enum class Positions {
  kPredictResponse,  // those that predict the response tokens: L of each sequence; the last token is not even
                     // computed
  kLast,             // the last token: one of each sequence
};

// Tokens that a forward at these positions computes.
int64_t ForwardTokens(const Sequence& sequence, Positions positions);

// Pointers to the member `sequence` of each item.
template <typename Item>
std::vector<const Sequence*> SequencesOf(absl::Span<const Item> items) {
  std::vector<const Sequence*> sequences;
  sequences.reserve(items.size());
  for (const Item& item : items) sequences.push_back(&item.sequence);
  return sequences;
}

// One float32 vector [L] of each item, end to end: [N] on `device`.
template <typename Item>
at::Tensor Concatenate(absl::Span<const Item> items, std::vector<float> Item::*member, at::Device device);

// The token_weight of each item, repeated for its response tokens: float32 [N] on `device`.
template <typename Item>
at::Tensor TokenWeights(absl::Span<const Item> items, at::Device device);

// float32 [N] on `device`.
at::Tensor ToTensor(const std::vector<float>& values, at::Device device);

class SequenceForward {
 public:
  struct Output {
    at::Tensor hidden;   // [N, hidden]: rows of all sequences in their order
    at::Tensor targets;  // int64 [N]: the response tokens (kPredictResponse); undefined otherwise
  };

  // `reuse_features`: vision and projector do not change while this object lives. The model outlives it.
  SequenceForward(models::VisionLanguageModel* model, bool reuse_features);

  // One forward of all sequences, packed. Errors: those of VisionLanguageModel::Forward.
  absl::StatusOr<Output> Run(absl::Span<const Sequence* const> sequences, Positions positions);

  models::VisionLanguageModel& model() const { return *model_; }
  at::Device device() const { return device_; }

 private:
  models::VisionLanguageModel* model_;
  at::Device device_;
  ImageEncoder images_;
};

template <typename Item>
at::Tensor Concatenate(absl::Span<const Item> items, std::vector<float> Item::*member, at::Device device) {
  std::vector<float> values;
  for (const Item& item : items) values.insert(values.end(), (item.*member).begin(), (item.*member).end());
  return ToTensor(values, device);
}

template <typename Item>
at::Tensor TokenWeights(absl::Span<const Item> items, at::Device device) {
  std::vector<float> weights;
  for (const Item& item : items) {
    weights.insert(weights.end(), item.sequence.response.size(), static_cast<float>(item.token_weight));
  }
  return ToTensor(weights, device);
}

}  // namespace rein::training
