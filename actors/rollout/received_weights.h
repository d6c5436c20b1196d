// New weights on their way into the rollout's model.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "actors/host/host.h"
#include "collectives/staged_weights.h"
#include "collectives/weight_group.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/trainable.pb.h"

namespace rein::rollout {

bool Equal(const v1::WeightVersion& a, const v1::WeightVersion& b);

// Life of a version: 1. Prepare joins the group that it comes over; the stream needs none. 2. Receive, into
// staging memory, while decoding goes on. 3. Activate, between two decode steps.
//
// Thread-safe. Prepare and Receive wait on the network, on the calling RPC thread, and touch no tensor of the
// model; Configure and Activate belong to the executor.
class ReceivedWeights {
 public:
  explicit ReceivedWeights(host::Host* host) : host_(host) {}

  // `live`: the model's tensors, aliased. Errors: those of StagedWeights::For.
  absl::Status Configure(const collectives::NamedTensors& live);

  // Joins the group of `request.group_epoch`; one of another epoch is left, whoever receives from it.
  // Errors: INVALID_ARGUMENT (rank 0, no such backend), UNAVAILABLE (another call joins it), those of
  // JoinWeightGroup.
  absl::Status Prepare(const v1::PrepareWeightsRequest& request, absl::Duration timeout);

  // Returns the fingerprint of what arrived. Errors: UNAVAILABLE (no such group, or a member is gone),
  // DEADLINE_EXCEEDED, FAILED_PRECONDITION (another version or other tensors are sent), those of ReadWeights.
  absl::StatusOr<uint64_t> Receive(const v1::ReceiveWeightsRequest& request,
                                   const grpc::ServerContext& caller);

  // Copies the staged version into the model and proves it; the active version stays as it is. Errors:
  // FAILED_PRECONDITION (it is not staged, or still arrives), DATA_LOSS (the model does not hold what
  // arrived: no version is active any more).
  absl::Status Activate(const v1::WeightVersion& version);

  // Gives up the memory of a version that is active already. Executor thread.
  void ReleaseStaging();

  // {0, 0} until the first Activate: the weights of the model folder.
  v1::WeightVersion active() const;

 private:
  struct Group {
    uint64_t epoch = 0;
    std::unique_ptr<collectives::WeightGroup> members;  // null until joined
  };
  using GroupPtr = std::shared_ptr<Group>;

  absl::StatusOr<GroupPtr> Claim(uint64_t epoch);
  GroupPtr Joined(uint64_t epoch);
  void Leave(const GroupPtr& group);
  absl::Status BeginReceiving(absl::Time deadline);
  void EndReceiving();
  absl::StatusOr<uint64_t> FromGroup(const v1::ReceiveWeightsRequest& request);
  absl::StatusOr<uint64_t> FromSource(const v1::ReceiveWeightsRequest& request,
                                      const grpc::ServerContext& caller);
  void SetActive(const v1::WeightVersion& version);

  host::Host* const host_;
  // Belongs to the call that receives; while there is none, to the executor.
  std::optional<collectives::StagedWeights> staged_;
  mutable absl::Mutex mutex_;
  bool receiving_ ABSL_GUARDED_BY(mutex_) = false;
  GroupPtr group_ ABSL_GUARDED_BY(mutex_);
  v1::WeightVersion active_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::rollout
