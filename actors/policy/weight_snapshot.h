// The policy's weights at one version, for the gRPC stream.
#pragma once

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "collectives/staged_weights.h"
#include "collectives/weight_stream.h"
#include "rein/v1/trainable.pb.h"

namespace rein::policy {

struct WeightSnapshot {
  v1::WeightVersion version;
  // At the first chunk; every reader streams from a copy. Holds tensors of its own.
  collectives::WeightStreamWriter writer;
};

// Copies the tensors. Executor thread.
absl::StatusOr<std::shared_ptr<const WeightSnapshot>> TakeSnapshot(const collectives::NamedTensors& tensors,
                                                                   const v1::WeightVersion& version);

// Manifest first, then chunks; `write` returns false when the reader is gone. Errors: CANCELLED.
absl::Status StreamSnapshot(const WeightSnapshot& snapshot,
                            const std::function<bool(const v1::ReadWeightsResponse&)>& write);

}  // namespace rein::policy
