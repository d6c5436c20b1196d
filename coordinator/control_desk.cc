#include "coordinator/control_desk.h"

#include <utility>

namespace rein::coordinator {
namespace {

// How often a waiting handler asks whether its caller is still there.
constexpr absl::Duration kLookForCaller = absl::Milliseconds(200);

absl::Status Ended() { return absl::FailedPreconditionError("the job has ended"); }

}  // namespace

void ControlDesk::Pause() {
  absl::MutexLock lock(&mutex_);
  paused_ = true;
  ++version_;
}

void ControlDesk::Resume() {
  absl::MutexLock lock(&mutex_);
  paused_ = false;
  ++version_;
}

absl::Status ControlDesk::Wait(Ticket& ticket, const GoneFn& gone) {
  absl::MutexLock lock(&ticket.mutex);
  const auto answered = [&ticket]()
                            ABSL_SHARED_LOCKS_REQUIRED(ticket.mutex) { return ticket.answer.has_value(); };
  while (!ticket.mutex.AwaitWithTimeout(absl::Condition(&answered), kLookForCaller)) {
    if (gone()) return absl::CancelledError("the caller went away; what it asked for is done all the same");
  }
  return *ticket.answer;
}

void ControlDesk::Answer(Ticket& ticket, const absl::Status& status) {
  absl::MutexLock lock(&ticket.mutex);
  ticket.answer = status;
}

absl::Status ControlDesk::AtBoundary(std::function<absl::Status()> work, const GoneFn& gone) {
  const auto ticket = std::make_shared<Ticket>();
  ticket->work = std::move(work);
  {
    absl::MutexLock lock(&mutex_);
    if (closed_.has_value()) return Ended();
    tickets_.push_back(ticket);
    ++version_;
  }
  return Wait(*ticket, gone);
}

absl::Status ControlDesk::Stop(const GoneFn& gone) {
  const auto ticket = std::make_shared<Ticket>();
  {
    absl::MutexLock lock(&mutex_);
    if (closed_.has_value()) return *closed_;
    stops_.push_back(ticket);
    stop_wanted_ = true;
    ++version_;
  }
  return Wait(*ticket, gone);
}

void ControlDesk::AskToStop() {
  absl::MutexLock lock(&mutex_);
  stop_wanted_ = true;
  ++version_;
}

bool ControlDesk::stop_wanted() const {
  absl::MutexLock lock(&mutex_);
  return stop_wanted_;
}

bool ControlDesk::paused() const {
  absl::MutexLock lock(&mutex_);
  return paused_;
}

bool ControlDesk::RunWork() {
  std::deque<std::shared_ptr<Ticket>> tickets;
  {
    absl::MutexLock lock(&mutex_);
    tickets.swap(tickets_);
  }
  for (const auto& ticket : tickets) Answer(*ticket, ticket->work());
  return !tickets.empty();
}

void ControlDesk::AwaitChange(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  const uint64_t seen = version_;
  const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return version_ != seen || !tickets_.empty() || stop_wanted_ || !paused_;
  };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
}

void ControlDesk::Close(const absl::Status& status) {
  std::deque<std::shared_ptr<Ticket>> tickets, stops;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = status;
    tickets.swap(tickets_);
    stops.swap(stops_);
  }
  for (const auto& ticket : tickets) Answer(*ticket, Ended());
  for (const auto& ticket : stops) Answer(*ticket, status);
}

}  // namespace rein::coordinator
