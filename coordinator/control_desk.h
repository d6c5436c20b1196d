// What people ask of a running job, handed from RPC threads to the job thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace rein::coordinator {

// Thread-safe. The job thread looks at it between two steps only.
class ControlDesk {
 public:
  // True when the asking side has gone away.
  using GoneFn = std::function<bool()>;

  // RPC side. Pause and Resume return at once; repeating is harmless.
  void Pause();
  void Resume();
  // Runs `work` on the job thread at the next step boundary and returns its result. Errors: CANCELLED (the
  // caller is gone; the work is done all the same), FAILED_PRECONDITION (the job has ended).
  absl::Status AtBoundary(std::function<absl::Status()> work, const GoneFn& gone);
  // Asks for the end and waits for it. Errors: as AtBoundary, and what made the end fail.
  absl::Status Stop(const GoneFn& gone);
  // Asks for the end without waiting.
  void AskToStop();

  // Job side.
  bool stop_wanted() const;
  bool paused() const;
  // Runs what has been asked for; true if there was anything.
  bool RunWork();
  // While paused: waits for anything to do.
  void AwaitChange(absl::Duration timeout);
  // The job has ended: answers everybody, also those who ask later.
  void Close(const absl::Status& status);

 private:
  struct Ticket {
    std::function<absl::Status()> work;
    absl::Mutex mutex;
    std::optional<absl::Status> answer ABSL_GUARDED_BY(mutex);
  };
  static absl::Status Wait(Ticket& ticket, const GoneFn& gone);
  static void Answer(Ticket& ticket, const absl::Status& status);

  mutable absl::Mutex mutex_;
  std::deque<std::shared_ptr<Ticket>> tickets_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::shared_ptr<Ticket>> stops_ ABSL_GUARDED_BY(mutex_);
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool stop_wanted_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> closed_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rein::coordinator
