#include "training/sequence_forward.h"

#include <ATen/ATen.h>

#include "base/status.h"

namespace rein::training {
namespace {

at::Tensor ToTensor(const std::vector<int64_t>& values, at::Device device) {
  return at::tensor(values, at::kLong).to(device);
}

// Where the rows of one sequence lie in the packed tokens.
struct Range {
  int64_t begin, end;
};

Range RowsOf(const Sequence& sequence, Positions positions, int64_t start) {
  const int64_t end = start + ForwardTokens(sequence, positions);
  if (positions == Positions::kLast) return {end - 1, end};
  return {end - static_cast<int64_t>(sequence.response.size()), end};
}

}  // namespace

at::Tensor ToTensor(const std::vector<float>& values, at::Device device) {
  return at::tensor(values, at::kFloat).to(device);
}

int64_t ForwardTokens(const Sequence& sequence, Positions positions) {
  const int64_t tokens = static_cast<int64_t>(sequence.prompt.size() + sequence.response.size());
  return positions == Positions::kLast ? tokens : tokens - 1;
}

SequenceForward::SequenceForward(models::VisionLanguageModel* model, bool reuse_features)
    : model_(model), device_(model->tensors().front().second.device()), images_(model, reuse_features) {}

absl::StatusOr<SequenceForward::Output> SequenceForward::Run(absl::Span<const Sequence* const> sequences,
                                                             Positions positions) {
  models::PackedInput input;
  input.cu_seqlens = {0};
  std::vector<int64_t> tokens, rows, targets;
  for (const Sequence* sequence : sequences) {
    const int64_t start = static_cast<int64_t>(tokens.size());
    const Range range = RowsOf(*sequence, positions, start);
    tokens.insert(tokens.end(), sequence->prompt.begin(), sequence->prompt.end());
    tokens.insert(tokens.end(), sequence->response.begin(), sequence->response.end());
    tokens.resize(start + ForwardTokens(*sequence, positions));
    input.cu_seqlens.push_back(static_cast<int64_t>(tokens.size()));
    for (int64_t row = range.begin; row < range.end; ++row) rows.push_back(row);
    targets.insert(targets.end(), sequence->response.begin(), sequence->response.end());
  }
  input.token_ids = ToTensor(tokens, device_);
  input.images = images_.Encode(sequences);
  REIN_ASSIGN_OR_RETURN(const at::Tensor hidden, model_->Forward(input));
  Output output{hidden.index_select(0, ToTensor(rows, device_)), {}};
  if (positions == Positions::kPredictResponse) output.targets = ToTensor(targets, device_);
  return output;
}

}  // namespace rein::training
