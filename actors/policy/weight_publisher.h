// The publishing end of the weight group.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "collectives/staged_weights.h"
#include "collectives/weight_group.h"
#include "rein/v1/trainable.pb.h"

namespace rein::policy {

// Life of a group: 1. Prepare without a store address serves one. 2. Prepare with it joins, together with the
// receivers.
// 3. Publish, any number of times. 4. Prepare of a newer epoch aborts it. Thread-safe; Prepare waits on the
// network, on the calling RPC thread.
class WeightPublisher {
 public:
  // `bucket_bytes`: size of the pieces that travel.
  void SetBucketBytes(int64_t bucket_bytes) { bucket_bytes_ = bucket_bytes; }

  // Errors: INVALID_ARGUMENT (not rank 0, no such backend), those of ServeRendezvous and JoinWeightGroup.
  absl::Status Prepare(const v1::PrepareWeightsRequest& request, absl::Duration timeout,
                       v1::PrepareWeightsResponse* response);

  // Executor thread. Sends `tensors` as `request.version` to the group of `request.group_epoch`; epoch 0 only
  // computes the fingerprint. Errors: UNAVAILABLE (no such group, or a member is gone: rebuild it),
  // DEADLINE_EXCEEDED (a member does not answer), FAILED_PRECONDITION (a receiver expects other tensors).
  absl::StatusOr<v1::PublishResponse> Publish(const v1::PublishRequest& request,
                                              const collectives::NamedTensors& tensors);

 private:
  struct Group {
    uint64_t epoch = 0;
    std::unique_ptr<collectives::Rendezvous> rendezvous;  // outlives `members`
    std::unique_ptr<collectives::WeightGroup> members;    // null until joined
  };
  using GroupPtr = std::shared_ptr<Group>;

  absl::StatusOr<GroupPtr> Serve(uint64_t epoch);
  absl::Status Join(const v1::PrepareWeightsRequest& request, absl::Duration timeout);
  GroupPtr Joined(uint64_t epoch);
  void Drop(const GroupPtr& group);

  int64_t bucket_bytes_ = 0;
  absl::Mutex mutex_;
  GroupPtr group_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::policy
