#include "transport/fence.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace rein::transport {

absl::Status FenceGuard::Check(const v1::Fence& fence) {
  if (fence.job_id() != job_id_) {
    return absl::PermissionDeniedError(
        absl::StrCat("this actor serves job '", job_id_, "', not '", fence.job_id(), "'"));
  }
  if (fence.actor_incarnation() != incarnation_) {
    return absl::AbortedError(absl::StrCat("meant for incarnation ", fence.actor_incarnation(), ", this is ",
                                           incarnation_, ": the actor was restarted; register it again"));
  }
  absl::MutexLock lock(&mutex_);
  if (fence.coordinator_epoch() < epoch_) {
    return absl::AbortedError(absl::StrCat("coordinator epoch ", fence.coordinator_epoch(),
                                           " is over; the current one is ", epoch_,
                                           ": a newer coordinator has taken over"));
  }
  epoch_ = fence.coordinator_epoch();
  return absl::OkStatus();
}

uint64_t FenceGuard::epoch() const {
  absl::MutexLock lock(&mutex_);
  return epoch_;
}

}  // namespace rein::transport
