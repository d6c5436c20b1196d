#include "actors/host/train_steps.h"

#include <utility>

namespace rein::host {
namespace {

constexpr size_t kResultsKept = 16;
constexpr absl::Duration kProgressInterval = absl::Milliseconds(500);

v1::TrainResult ToResult(const v1::TrainHeader& header, const training::Metrics& metrics) {
  v1::TrainResult result;
  *result.mutable_version() = header.version();
  for (const auto& [name, value] : metrics) {
    v1::Metric* metric = result.add_metrics();
    metric->set_name(name);
    metric->set_value(value);
  }
  return result;
}

}  // namespace

absl::Status TrainSteps::Run(const v1::TrainHeader& header, StepFn step, const WriteFn& write) {
  if (header.fence().request_id().empty()) {
    return absl::InvalidArgumentError("Train needs a request_id, so that a repetition does not train twice");
  }
  absl::StatusOr<TicketPtr> ticket = Find(header, std::move(step));
  if (!ticket.ok()) return ticket.status();
  return Follow(**ticket, write);
}

absl::StatusOr<TrainSteps::TicketPtr> TrainSteps::Find(const v1::TrainHeader& header, StepFn step) {
  const std::string& id = header.fence().request_id();
  absl::MutexLock lock(&mutex_);
  if (const auto found = tickets_.find(id); found != tickets_.end()) return found->second;
  auto ticket = std::make_shared<Ticket>();
  // The step holds the batch: it goes with the work, not with the ticket.
  const absl::Status posted =
      host_->Post(absl::StrCat("Train step ", header.fence().step()),
                  [this, header, ticket, step = std::move(step)] { return Work(header, step, ticket); });
  if (!posted.ok()) return posted;
  tickets_[id] = ticket;
  order_.push_back(id);
  if (order_.size() > kResultsKept) {
    tickets_.erase(order_.front());
    order_.pop_front();
  }
  return ticket;
}

absl::Status TrainSteps::Work(const v1::TrainHeader& header, const StepFn& step, const TicketPtr& ticket) {
  const auto progress = [&](int done, int total) {
    host_->executor().SetActivity(
        absl::StrCat("Train step ", header.fence().step(), ", micro-batch ", done, " of ", total));
    absl::MutexLock lock(&ticket->mutex);
    ticket->done = done;
    ticket->total = total;
  };
  training::Metrics metrics;
  const absl::Status status = Guarded([&] {
    absl::StatusOr<training::Metrics> outcome = step(progress);
    if (outcome.ok()) metrics = *std::move(outcome);
    return outcome.status();
  });
  if (!status.ok()) Forget(header.fence().request_id());
  absl::MutexLock lock(&ticket->mutex);
  ticket->status = status;
  if (status.ok()) ticket->result = ToResult(header, metrics);
  ticket->finished = true;
  return status;
}

absl::Status TrainSteps::Follow(Ticket& ticket, const WriteFn& write) {
  while (true) {
    v1::TrainProgress progress;
    bool finished = false;
    {
      absl::MutexLock lock(&ticket.mutex);
      ticket.mutex.AwaitWithTimeout(absl::Condition(&ticket.finished), kProgressInterval);
      finished = ticket.finished;
      if (finished && !ticket.status.ok()) return ticket.status;
      progress.set_done(ticket.done);
      progress.set_total(ticket.total);
      if (finished) *progress.mutable_result() = ticket.result;
    }
    if (!write(progress)) return absl::CancelledError("the caller of Train is gone; the step goes on");
    if (finished) return absl::OkStatus();
  }
}

void TrainSteps::Forget(const std::string& request_id) {
  absl::MutexLock lock(&mutex_);
  tickets_.erase(request_id);
  std::erase(order_, request_id);
}

void TrainSteps::Clear() {
  absl::MutexLock lock(&mutex_);
  tickets_.clear();
  order_.clear();
}

}  // namespace rein::host
