// Brings a version of the policy's weights to every rollout, proves it there, and switches.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/fleet.h"
#include "coordinator/status_board.h"
#include "rein/v1/job.pb.h"
#include "rein/v1/trainable.pb.h"

namespace rein::coordinator {

// Publish belongs to the job thread; CatchUp may be called by any thread between two publications.
class WeightPublisher {
 public:
  WeightPublisher(const v1::Job& job, Fleet* fleet, StatusBoard* board);

  // The policy's present weights become `version` on all rollouts that are ready. Over the weight group;
  // where that cannot be built or breaks, by the gRPC stream. A rollout that fails both is reported lost: it
  // takes no prompts until it has caught up. Errors: those of Fleet::Interruption; DATA_LOSS (no rollout
  // could prove the weights).
  absl::Status Publish(const v1::WeightVersion& version);

  // Brings the published version to one rollout by the stream: a restarted one, or one that was left out.
  absl::Status CatchUp(const Slot& slot, const Target& rollout);

  v1::WeightVersion version() const;

 private:
  using Rollouts = std::vector<std::pair<Slot, Target>>;
  bool WantsGroup() const;
  absl::Status EnsureGroup(const Target& policy, const Rollouts& rollouts);
  absl::Status PublishToGroup(const Target& policy, const Rollouts& rollouts,
                              const v1::WeightVersion& version);
  absl::StatusOr<uint64_t> PolicyFingerprint(const Target& policy, const v1::WeightVersion& version);
  absl::Status ReceiveByStream(const Target& policy, const Target& rollout, const v1::WeightVersion& version,
                               uint64_t fingerprint);
  absl::Status Activate(const Target& rollout, const v1::WeightVersion& version);
  std::string RequestId(const std::string& what, const v1::WeightVersion& version);

  const v1::Job job_;
  Fleet* const fleet_;
  StatusBoard* const board_;
  const absl::Duration timeout_;
  uint64_t group_epoch_ = 0;
  std::vector<uint64_t> members_;  // incarnations in rank order; empty: no group
  mutable absl::Mutex mutex_;
  v1::WeightVersion version_ ABSL_GUARDED_BY(mutex_);
  uint64_t fingerprint_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t requests_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::coordinator
