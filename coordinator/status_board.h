// What the job is doing, as GetStatus and WatchStatus tell it. Nothing in a job waits without a name here.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::coordinator {

// Thread-safe; every call takes microseconds.
class StatusBoard {
 public:
  StatusBoard(const v1::Job& job, const std::string& job_id, const std::string& run_dir);

  // Everything but the actors. The job is left out on request: it is by far the largest part.
  v1::JobStatus Snapshot(bool without_job) const;
  // Waits until the board has changed since `seen` (a result of Await, 0 at first) or the time is over.
  // Returns the number of the present state.
  uint64_t Await(uint64_t seen, absl::Duration timeout) const;

  // Changes the status in place; `change` takes no locks.
  void Update(const std::function<void(v1::JobStatus&)>& change);
  void SetPhase(v1::JobPhase phase);
  // Something that is not on the board (an actor) has changed.
  void Touch();

  // A wait that is shown for as long as the object lives.
  class NamedWait {
   public:
    NamedWait(NamedWait&& other) noexcept : board_(other.board_), id_(other.id_) { other.board_ = nullptr; }
    NamedWait(const NamedWait&) = delete;
    ~NamedWait();

   private:
    friend class StatusBoard;
    NamedWait(StatusBoard* board, uint64_t id) : board_(board), id_(id) {}
    StatusBoard* board_;
    uint64_t id_;
  };
  // `what`: "policy: train step 12". `until`: when the wait becomes an error.
  NamedWait Wait(const std::string& what, absl::Time until);

 private:
  void EndWait(uint64_t id);

  mutable absl::Mutex mutex_;
  v1::JobStatus status_ ABSL_GUARDED_BY(mutex_);  // without waits
  v1::Job job_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, v1::Wait> waits_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_wait_ ABSL_GUARDED_BY(mutex_) = 1;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace rein::coordinator
