// One version of the weights from the publisher to all receivers of a group.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "collectives/staged_weights.h"
#include "collectives/weight_group.h"

namespace rein::collectives {

struct SentWeights {
  // Of the live tensors, as they were sent.
  uint64_t fingerprint = 0;
  int64_t bytes = 0;
};

// Rank 0. Tensors travel end to end in buckets; while one is on its way, the next is packed.
class WeightSender {
 public:
  static constexpr int64_t kDefaultBucketBytes = int64_t{32} << 20;

  // `group` must outlive the sender. bucket_bytes is rounded up to a multiple of 64. Errors: INVALID_ARGUMENT
  // (not rank 0, bucket_bytes not positive, bad tensors).
  static absl::StatusOr<WeightSender> Make(WeightGroup* group, const NamedTensors& tensors,
                                           int64_t bucket_bytes = kDefaultBucketBytes);

  // Sends the tensors as they are now; they must not change meanwhile. Returns when all receivers have them.
  // Errors: FAILED_PRECONDITION (a receiver expects other tensors: no weights were sent, the group remains
  // usable), UNAVAILABLE, DEADLINE_EXCEEDED (rebuild the group).
  absl::StatusOr<SentWeights> Send(Version version);

 private:
  WeightSender(WeightGroup* group, FlatLayout layout, int64_t bucket_bytes)
      : group_(group), layout_(std::move(layout)), bucket_bytes_(bucket_bytes) {}
  absl::Status Announce(Version version);
  absl::StatusOr<SentWeights> SendBuckets();

  WeightGroup* group_;
  FlatLayout layout_;
  int64_t bucket_bytes_;
  at::Tensor buckets_;  // [2, bucket_bytes], allocated by the first Send
};

// The other ranks.
class WeightReceiver {
 public:
  // Both must outlive the receiver.
  WeightReceiver(WeightGroup* group, StagedWeights* staged) : group_(group), staged_(staged) {}

  // Takes part in one Send. Returns the fingerprint of what arrived; staged->Apply switches to it. The live
  // tensors stay as they are. Errors: FAILED_PRECONDITION (the publisher sends another version or other
  // tensors: names the difference; the group remains usable), DATA_LOSS (what rank 0 sent makes no sense),
  // UNAVAILABLE, DEADLINE_EXCEEDED (rebuild the group).
  absl::StatusOr<uint64_t> Receive(Version version);

 private:
  absl::Status Accept(Version version, int64_t* bucket_bytes);
  absl::StatusOr<uint64_t> ReceiveBuckets(int64_t bucket_bytes);

  WeightGroup* group_;
  StagedWeights* staged_;
};

}  // namespace rein::collectives
