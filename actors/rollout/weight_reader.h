// The weight stream of a policy, into staging memory.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "collectives/staged_weights.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/trainable.pb.h"
#include "transport/peer.h"

namespace rein::rollout {

// Calls WeightSource.Read at `source` within the deadline and cancellation of `caller` and within `timeout`;
// returns the fingerprint of what arrived, which is the one that the source announced. Errors: those of Read
// and of WeightStreamReader, DATA_LOSS (a broken stream, or another fingerprint).
absl::StatusOr<uint64_t> ReadWeights(const transport::Peer& source, const grpc::ServerContext& caller,
                                     absl::Duration timeout, const v1::ReadWeightsRequest& request,
                                     collectives::StagedWeights* staged);

}  // namespace rein::rollout
