#include "cli/run/supervisor.h"

#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/coordinator_client.h"
#include "cli/run/leftovers.h"

namespace rein::cli {
namespace {

// How long processes of an earlier supervisor may take to notice that it is gone.
constexpr absl::Duration kLeftoverGrace = absl::Seconds(10);

// Coordinator.Stop answers when the job has ended. The call ends with the coordinator, whatever happens to
// it.
constexpr absl::Duration kLongestStop = absl::Hours(24);

bool EndedByItself(int wait_status) { return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) <= 2; }

// Steps of metrics.jsonl that stay when the job goes on; the coordinator cuts the file back to the commit.
int64_t FirstStep(const RunFolder& folder) { return CommittedStep(folder.path); }

}  // namespace

Supervisor::Supervisor(const RunFolder& folder, const SupervisorOptions& options)
    : folder_(folder),
      options_(options),
      progress_(options.out, options.terminal, folder.path, FirstStep(folder), folder.job.steps()) {}

Supervisor::~Supervisor() { Close(); }

absl::StatusOr<Outcome> Supervisor::Run() {
  REIN_RETURN_IF_ERROR(Open());
  while (!outcome_.has_value()) HandleNext();
  Close();
  // What the coordinator itself has written tells more than how it seemed from here.
  if (absl::StatusOr<Outcome> told = ReadOutcome(folder_.path); told.ok()) return told;
  return *outcome_;
}

absl::Status Supervisor::Open() {
  EndLeftovers(options_.programs, folder_.path, kLeftoverGrace);
  REIN_ASSIGN_OR_RETURN(children_, ChildProcesses::Create([this](pid_t pid, int wait_status) {
                          events_.Post(ChildExit{pid, wait_status});
                        }));
  launcher_ = std::make_unique<Launcher>(children_.get(), options_.programs / "rein-actor", folder_.path);
  REIN_ASSIGN_OR_RETURN(server_, transport::Server::Start({.token = folder_.token}, {launcher_.get()}));
  server_->SetServing(true);
  REIN_RETURN_IF_ERROR(
      WriteFileAtomically(folder_.path / "launcher.address", absl::StrCat(server_->address(), "\n")));
  REIN_RETURN_IF_ERROR(StartCoordinator());
  follower_ = std::make_unique<StatusFollower>(folder_.path,
                                               [this](const v1::JobStatus& status) { events_.Post(status); });
  return absl::OkStatus();
}

// The order matters: nobody may start or ask anything of what is already gone.
void Supervisor::Close() {
  follower_.reset();
  if (children_ != nullptr) children_->EndAll(options_.grace);
  if (stop_call_.joinable()) stop_call_.join();
  if (server_ != nullptr) server_->Shutdown(absl::Seconds(1));
  server_.reset();
  children_.reset();
  RemoveAddresses();
  progress_.Finish();
}

// A stale address would lead actors, followers and verbs astray.
void Supervisor::RemoveAddresses() {
  std::error_code error;
  for (const char* name : {"coordinator.address", "launcher.address"}) {
    std::filesystem::remove(folder_.path / name, error);
  }
}

absl::Status Supervisor::StartCoordinator() {
  std::error_code error;
  std::filesystem::remove(folder_.path / "coordinator.address", error);
  ChildCommand command;
  command.program = options_.programs / "rein-coordinator";
  command.arguments = {"--run-dir", folder_.path.string(), "--lifeline-fd",
                       absl::StrCat(ChildProcesses::kLifelineFd)};
  command.log = folder_.path / "logs" / "coordinator.log";
  REIN_ASSIGN_OR_RETURN(coordinator_, children_->Start(command));
  return absl::OkStatus();
}

void Supervisor::HandleNext() {
  const absl::Time deadline = std::min(stop_deadline_, progress_.NextReminder());
  const std::optional<Event> event = events_.Take(deadline);
  if (!event.has_value()) return HandleDeadline();
  std::visit([this](const auto& one) { Handle(one); }, *event);
}

void Supervisor::HandleDeadline() {
  const absl::Time now = absl::Now();
  progress_.Remind(now);
  if (now < stop_deadline_) return;
  const std::string why = stop_error_.empty()
                              ? absl::StrCat("showed no progress for ", absl::FormatDuration(Patience()))
                              : absl::StrCat("did not take the request (", stop_error_, ")");
  End("stopped", absl::StrCat("the coordinator was asked to stop, ", why, " and was ended"));
}

void Supervisor::Handle(const v1::JobStatus& status) {
  progress_.Show(status, absl::Now());
  if (!stopping_ || !stop_error_.empty()) return;
  stop_deadline_ = absl::Now() + Patience();
  // A named wait may be longer; the coordinator itself ends it when its time is over.
  for (const v1::Wait& wait : status.waiting_for()) {
    stop_deadline_ = std::max(stop_deadline_, absl::FromUnixNanos(wait.until_ns()) + Patience());
  }
}

void Supervisor::Handle(const StopSignal& signal) {
  if (stopping_ && signal.hang_up) return;
  if (stopping_) return End("stopped", "ended at once, as asked for the second time");
  stopping_ = true;
  AskToStop();
}

void Supervisor::AskToStop() {
  const absl::StatusOr<CoordinatorClient> client = CoordinatorClient::OfRun(folder_.path);
  // Nothing has begun, or it has just crashed: there is nothing to finish.
  if (!client.ok()) return End("stopped", "no coordinator served yet: ended at once");
  progress_.Say("stopping: the step is finished and committed first; once more to end now");
  stop_deadline_ = absl::Now() + Patience();
  stop_call_ = std::thread([this, client = *client] {
    v1::ControlRequest request;
    request.set_reason("rein run was interrupted");
    const auto answer = client.Call(&v1::Coordinator::Stub::Stop, request, kLongestStop);
    events_.Post(StopAnswer{answer.status()});
  });
}

void Supervisor::Handle(const StopAnswer& answer) {
  if (answer.status.ok()) return;
  // It may have ended before its answer was out: then its exit is about to be seen.
  stop_error_ = std::string(answer.status.message());
  stop_deadline_ = absl::Now() + options_.grace;
}

void Supervisor::Handle(const ChildExit& exit) {
  if (exit.pid != coordinator_) return;  // the coordinator decides what becomes of actors
  const std::string how = DescribeExit(exit.wait_status);
  if (!EndedByItself(exit.wait_status)) return CoordinatorCrashed(how);
  absl::StatusOr<Outcome> outcome = ReadOutcome(folder_.path);
  if (outcome.ok()) {
    outcome_ = *std::move(outcome);
  } else {
    End("failed", absl::StrCat("the coordinator ended (", how,
                               ") without telling how: ", outcome.status().message(), LastWords()));
  }
}

void Supervisor::CoordinatorCrashed(const std::string& how) {
  const int64_t committed = CommittedStep(folder_.path);
  if (stopping_) return End("stopped", absl::StrCat("the coordinator crashed while it stopped (", how, ")"));
  restarts_ = committed > restarted_from_ ? 1 : restarts_ + 1;
  restarted_from_ = committed;
  const int allowed = folder_.job.limits().max_restarts();
  if (restarts_ > allowed) {
    return End("failed", absl::StrCat("the coordinator crashed (", how, ") more than limits.max_restarts = ",
                                      allowed, " times without a new commit", LastWords()));
  }
  progress_.Say(absl::StrCat("the coordinator crashed (", how, "); restarting it from the commit of step ",
                             committed, " (restart ", restarts_, " of ", allowed, ")"));
  if (const absl::Status status = StartCoordinator(); !status.ok()) {
    End("failed", absl::StrCat("the coordinator could not be restarted: ", status.message()));
  }
}

std::string Supervisor::LastWords() const {
  const std::string line = LastLogLine(folder_.path / "logs" / "coordinator.log");
  return line.empty() ? "" : absl::StrCat("; its last words: ", line);
}

void Supervisor::End(const std::string& state, const std::string& error) {
  outcome_ = Outcome{state, CommittedStep(folder_.path), error};
}

absl::Duration Supervisor::Patience() const {
  return absl::Seconds(folder_.job.limits().progress_timeout_s());
}

}  // namespace rein::cli
