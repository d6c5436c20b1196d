// Replaces a reward or cost scorer while the job runs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/control_desk.h"
#include "coordinator/fleet.h"
#include "coordinator/scoring.h"
#include "coordinator/status_board.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::coordinator {

// 1. The new scorer is started beside the old one and loads. 2. It answers a canary: samples of the last
// batch, all of them, finite, in time. 3. At the next step boundary it takes over; the old one is ended. If
// anything before that fails, the new one is ended and the old one has never stopped.
class Swapper {
 public:
  // Runs on the job thread at a boundary, before the candidates are accepted scorers of the fleet.
  using TakeOverFn = std::function<absl::Status(const ScorerChoice&)>;
  using ProgressFn = std::function<void(const v1::SwapProgress&)>;

  Swapper(const v1::Job& job, Fleet* fleet, StatusBoard* board, ControlDesk* desk, PictureFn pictures,
          TakeOverFn take_over)
      : job_(job),
        fleet_(fleet),
        board_(board),
        desk_(desk),
        pictures_(std::move(pictures)),
        take_over_(std::move(take_over)) {}

  // Blocks until done; one at a time. A new scorer that fails is no error of the call: the last progress is
  // then SWAP_ROLLED_BACK with the reason. Errors: FAILED_PRECONDITION (a swap is under way), NOT_FOUND (no
  // such scorer or folder), INVALID_ARGUMENT.
  absl::Status Swap(const v1::SwapRequest& request, const ProgressFn& progress,
                    const ControlDesk::GoneFn& gone);

  // Samples of the step that has just been generated.
  void SetCanary(std::vector<v1::Sample> samples);

 private:
  absl::StatusOr<ScorerChoice> Resolve(const v1::SwapRequest& request);
  absl::Status Try(const ScorerChoice& choice, v1::SwapProgress& report, const ProgressFn& progress,
                   const ControlDesk::GoneFn& gone);
  absl::Status RunCanary(const ScorerChoice& choice, const std::vector<Target>& targets,
                         const ControlDesk::GoneFn& gone);
  absl::StatusOr<std::vector<v1::Sample>> AwaitCanary(const ControlDesk::GoneFn& gone);

  const v1::Job job_;
  Fleet* const fleet_;
  StatusBoard* const board_;
  ControlDesk* const desk_;
  const PictureFn pictures_;
  const TakeOverFn take_over_;
  std::atomic<bool> busy_ = false;
  absl::Mutex mutex_;
  int generation_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<v1::Sample> canary_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::coordinator
