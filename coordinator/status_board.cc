#include "coordinator/status_board.h"

#include "absl/time/clock.h"

namespace rein::coordinator {

StatusBoard::StatusBoard(const v1::Job& job, const std::string& job_id, const std::string& run_dir)
    : job_(job) {
  status_.set_job_id(job_id);
  status_.set_name(job.name());
  status_.set_total_steps(job.steps());
  status_.set_run_dir(run_dir);
  status_.set_phase(v1::JOB_STARTING);
  status_.set_started_ns(absl::ToUnixNanos(absl::Now()));
}

v1::JobStatus StatusBoard::Snapshot(bool without_job) const {
  absl::MutexLock lock(&mutex_);
  v1::JobStatus status = status_;
  for (const auto& [id, wait] : waits_) *status.add_waiting_for() = wait;
  if (!without_job) *status.mutable_job() = job_;
  status.set_now_ns(absl::ToUnixNanos(absl::Now()));
  return status;
}

uint64_t StatusBoard::Await(uint64_t seen, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return version_ != seen; };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
  return version_;
}

void StatusBoard::Update(const std::function<void(v1::JobStatus&)>& change) {
  absl::MutexLock lock(&mutex_);
  change(status_);
  ++version_;
}

void StatusBoard::SetPhase(v1::JobPhase phase) {
  Update([phase](v1::JobStatus& status) { status.set_phase(phase); });
}

void StatusBoard::Touch() {
  absl::MutexLock lock(&mutex_);
  ++version_;
}

StatusBoard::NamedWait StatusBoard::Wait(const std::string& what, absl::Time until) {
  v1::Wait wait;
  wait.set_what(what);
  wait.set_since_ns(absl::ToUnixNanos(absl::Now()));
  wait.set_until_ns(absl::ToUnixNanos(until));
  absl::MutexLock lock(&mutex_);
  const uint64_t id = next_wait_++;
  waits_[id] = std::move(wait);
  ++version_;
  return NamedWait(this, id);
}

void StatusBoard::EndWait(uint64_t id) {
  absl::MutexLock lock(&mutex_);
  waits_.erase(id);
  ++version_;
}

StatusBoard::NamedWait::~NamedWait() {
  if (board_ != nullptr) board_->EndWait(id_);
}

}  // namespace rein::coordinator
