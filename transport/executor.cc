#include "transport/executor.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::transport {

Executor::Executor(int queue_limit) : queue_limit_(queue_limit), thread_([this] { Loop(); }) {}

Executor::~Executor() {
  std::deque<Task> dropped;
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    dropped.swap(tasks_);
  }
  for (const Task& task : dropped) task.dropped();
  thread_.join();
}

absl::Status Executor::Enqueue(Task task) {
  absl::MutexLock lock(&mutex_);
  if (stop_) return absl::CancelledError("the actor is shutting down");
  if (static_cast<int>(tasks_.size()) >= queue_limit_) {
    return absl::ResourceExhaustedError(absl::StrCat("the queue is full: ", queue_limit_,
                                                     " requests wait (limits.max_queue); try again later"));
  }
  tasks_.push_back(std::move(task));
  return absl::OkStatus();
}

absl::Status Executor::Run(const std::string& activity, std::function<absl::Status()> work) {
  struct Outcome {
    absl::Mutex mutex;
    bool done ABSL_GUARDED_BY(mutex) = false;
    absl::Status status ABSL_GUARDED_BY(mutex);
    void Set(absl::Status value) {
      absl::MutexLock lock(&mutex);
      status = std::move(value);
      done = true;
    }
  } outcome;
  absl::Status queued = Enqueue({activity, [&] { outcome.Set(work()); },
                                 [&] { outcome.Set(absl::CancelledError("the actor is shutting down")); }});
  if (!queued.ok()) return queued;
  absl::MutexLock lock(&outcome.mutex);
  outcome.mutex.Await(absl::Condition(&outcome.done));
  return outcome.status;
}

absl::Status Executor::Post(const std::string& activity, std::function<void()> work) {
  return Enqueue({activity, std::move(work), [] {}});
}

void Executor::Loop() {
  absl::MutexLock lock(&mutex_);
  const auto ready = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_ || !tasks_.empty(); };
  while (true) {
    mutex_.Await(absl::Condition(&ready));
    if (stop_) return;
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    running_ = true;
    activity_ = task.activity;
    last_progress_ = absl::Now();
    mutex_.Unlock();
    task.work();
    mutex_.Lock();
    running_ = false;
    activity_.clear();
    last_progress_ = absl::Now();
  }
}

std::string Executor::activity() const {
  absl::MutexLock lock(&mutex_);
  return activity_;
}

void Executor::SetActivity(const std::string& activity) {
  absl::MutexLock lock(&mutex_);
  activity_ = activity;
  last_progress_ = absl::Now();
}

int Executor::queue() const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(tasks_.size());
}

absl::Time Executor::last_progress() const {
  absl::MutexLock lock(&mutex_);
  return last_progress_;
}

absl::Status Executor::WaitIdle(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !running_ && tasks_.empty(); };
  if (mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat(
      "still busy: ", activity_.empty() ? "queued work" : activity_, ", ", tasks_.size(), " waiting"));
}

}  // namespace rein::transport
