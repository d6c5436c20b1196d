// Reference, reward, cost and critic columns of a step, computed while generation still runs.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/fleet.h"
#include "coordinator/status_board.h"
#include "coordinator/step_table.h"
#include "guard/verdict.h"
#include "rein/v1/job.pb.h"
#include "transport/blobs.h"

namespace rein::coordinator {

struct Column {
  enum class Kind { kReference, kReward, kCost, kValues, kGuard } kind;
  // Of the actor: the constraint for costs, "reward" or a constraint for values.
  std::string name;
  std::string role() const;
};

// Encoded bytes of a picture, for scorers that take them inside the request.
using PictureFn = std::function<absl::StatusOr<transport::Blob>(const std::string& digest)>;

// Life: 1. Construct: workers start, one a replica of each column's actor. 2. Arrived for every row whose
// sample has come or been dropped, from any thread. 3. Finish, after the last Arrived. Micro-batches are
// fixed ranges of rows where the job is deterministic, with those that are dropped meanwhile, otherwise
// whatever has arrived. A score that is missing or not finite is computed again, at most
// limits.score_attempts times; then the sample is dropped with the reason. So is one that the guard finds
// harmful (job.guard.drop_at). An actor that is lost is waited for.
class Scoring {
 public:
  // All pointers outlive the object. `step` goes into fences.
  Scoring(const v1::Job& job, Fleet* fleet, StatusBoard* board, StepTable* table, std::vector<Column> columns,
          int64_t step, PictureFn pictures);
  // Cancels what is left.
  ~Scoring();

  void Arrived(size_t row);
  // Waits until every row is complete or dropped. Errors: those of Fleet::Interruption; what a scorer
  // answered where no repetition can help (its digest changed during the step).
  absl::Status Finish();
  // Ends the workers as soon as their calls return.
  void Cancel();

 private:
  using Batch = std::vector<size_t>;  // rows
  struct Worker {
    size_t column;
    Slot slot;
    std::thread thread;
  };
  void Dispatch(Batch batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DispatchRange(size_t row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Work(size_t column, const Slot& slot);
  absl::Status Process(size_t column, const Slot& slot, Batch rows);
  // Calls one actor once. Rows that got no number are returned with the reason.
  using Missing = std::map<size_t, absl::Status>;
  absl::StatusOr<Missing> Call(size_t column, const Target& target, const Batch& rows);
  void Accept(size_t row, size_t column, Cell cell);
  absl::Status CheckDigest(size_t column, const std::string& digest);
  size_t LargestBatch(const Target& target) const;

  const v1::Job job_;
  Fleet* const fleet_;
  StatusBoard* const board_;
  StepTable* const table_;
  const std::vector<Column> columns_;
  const int64_t step_;
  const PictureFn pictures_;
  const size_t batch_size_;
  const guard::Severity drop_at_;

  absl::Mutex mutex_;
  std::vector<std::deque<Batch>> queues_ ABSL_GUARDED_BY(mutex_);  // [column]
  std::vector<size_t> arrived_ ABSL_GUARDED_BY(mutex_);            // not yet dispatched
  std::vector<size_t> left_in_range_ ABSL_GUARDED_BY(mutex_);      // deterministic: rows still to settle
  std::vector<std::string> digests_ ABSL_GUARDED_BY(mutex_);       // [column], of the first answer
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker> workers_;
};

// Whether this is why a sample was dropped: the guard finds it harmful.
bool IsVerdictOfGuard(absl::string_view drop_reason);

}  // namespace rein::coordinator
