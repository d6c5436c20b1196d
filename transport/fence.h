// Fencing on the receiving side: messages of an old coordinator epoch or for another incarnation are refused.
#pragma once

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "rein/v1/common.pb.h"

namespace rein::transport {

// Thread-safe.
class FenceGuard {
 public:
  FenceGuard(std::string job_id, uint64_t incarnation)
      : job_id_(std::move(job_id)), incarnation_(incarnation) {}

  // Accepts the current and newer epochs (a newer one becomes the current one).
  // Errors: ABORTED (old epoch, or meant for another incarnation), PERMISSION_DENIED (another job).
  absl::Status Check(const v1::Fence& fence);

  uint64_t epoch() const;
  uint64_t incarnation() const { return incarnation_; }
  const std::string& job_id() const { return job_id_; }

 private:
  const std::string job_id_;
  const uint64_t incarnation_;
  mutable absl::Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::transport
