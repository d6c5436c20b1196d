#include "coordinator/keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "rein/v1/actor.grpc.pb.h"
#include "rein/v1/scorer.grpc.pb.h"

namespace rein::coordinator {
namespace {

// How often silence and reports are looked at when nothing wakes the keeper before.
constexpr absl::Duration kWatchInterval = absl::Milliseconds(250);
constexpr absl::Duration kDescribeTimeout = absl::Seconds(10);

// A restart cannot cure these: the folder, the job or the machine must change.
bool IsPermanent(const absl::Status& status) {
  return absl::IsInvalidArgument(status) || absl::IsNotFound(status) || absl::IsDataLoss(status) ||
         absl::IsUnimplemented(status) || absl::IsResourceExhausted(status) ||
         absl::IsPermissionDenied(status) || absl::IsUnauthenticated(status);
}

bool IsScorer(const std::string& role) { return role == "reward" || role == "cost"; }

}  // namespace

std::string ToString(const Slot& slot) { return absl::StrCat(slot.role, "/", slot.name, "/", slot.index); }

Keeper::Keeper(const KeeperEnvironment* environment, KeeperSpec spec, Events events)
    : environment_(environment),
      spec_(std::move(spec)),
      events_(std::move(events)),
      thread_([this] { Loop(); }) {}

Keeper::~Keeper() {
  Retire();
  thread_.join();
}

void Keeper::Retire() {
  {
    absl::MutexLock lock(&mutex_);
    retired_ = true;
  }
  environment_->registry->Touch();
}

bool Keeper::retired() const {
  absl::MutexLock lock(&mutex_);
  return retired_;
}

std::optional<Target> Keeper::ready() const {
  absl::MutexLock lock(&mutex_);
  return target_;
}

absl::Status Keeper::failure() const {
  absl::MutexLock lock(&mutex_);
  return failure_;
}

void Keeper::Forgive() {
  absl::MutexLock lock(&mutex_);
  failures_ = 0;
}

void Keeper::ReportLost(uint64_t incarnation, const std::string& why) {
  {
    absl::MutexLock lock(&mutex_);
    if (!target_.has_value() || target_->incarnation != incarnation) return;
    reported_ = incarnation;
    reported_why_ = why;
  }
  environment_->registry->Touch();
}

void Keeper::SetTarget(std::optional<Target> target) {
  {
    absl::MutexLock lock(&mutex_);
    target_ = std::move(target);
    reported_.reset();
  }
  events_.changed();
}

void Keeper::EndProcess(absl::Duration grace) {
  if (environment_->launcher == nullptr || !spec_.external.empty()) return;
  const absl::Status status = environment_->launcher->Stop(spec_.address, grace);
  if (!status.ok()) LogWarning(absl::StrCat(KeyOf(spec_.address), " cannot be ended: ", status.ToString()));
}

void Keeper::Loop() {
  environment_->registry->Expect(spec_.address);
  while (!retired()) {
    const absl::StatusOr<Target> target = spec_.external.empty() ? Bring() : ConnectExternal();
    if (retired()) return;
    if (!target.ok()) {
      if (!MayTryAgain(target.status())) return;
      continue;
    }
    LogInfo(absl::StrCat(KeyOf(spec_.address), " is ready at ", target->peer.address()));
    SetTarget(*target);
    const std::string why = WatchUntilLost(*target);
    if (retired()) return;
    last_lost_ = target->incarnation;
    SetTarget(std::nullopt);
    LogWarning(absl::StrCat(KeyOf(spec_.address), " is lost: ", why));
    events_.lost(why);
    if (!MayTryAgain(absl::UnavailableError(absl::StrCat("lost: ", why)))) return;
  }
}

bool Keeper::MayTryAgain(const absl::Status& status) {
  const int allowed = environment_->job.limits().max_restarts();
  {
    absl::MutexLock lock(&mutex_);
    ++failures_;
    if (!IsPermanent(status) && failures_ <= allowed) {
      LogWarning(absl::StrCat(KeyOf(spec_.address), ": ", status.ToString(), "; restart ", failures_, " of ",
                              allowed));
    } else {
      const std::string log = spec_.external.empty()
                                  ? absl::StrCat("; its log is logs/", spec_.address.role(), "-",
                                                 spec_.address.name(), "-", spec_.address.replica(), ".log")
                                  : "";
      failure_ = absl::Status(status.code(), absl::StrCat(KeyOf(spec_.address), ": ", status.message(), log));
    }
  }
  EndProcess(absl::ZeroDuration());
  events_.changed();
  return failure().ok();
}

absl::StatusOr<Target> Keeper::Bring() {
  REIN_ASSIGN_OR_RETURN(const v1::ActorStatus status, AwaitRegistration());
  absl::StatusOr<Target> target = Configure(status);
  // Its process is ended next; the registry may take it for alive a little longer.
  if (!target.ok() && environment_->launcher != nullptr) last_lost_ = status.incarnation();
  return target;
}

absl::StatusOr<v1::ActorStatus> Keeper::AwaitRegistration() {
  Registry& registry = *environment_->registry;
  const absl::Time deadline = absl::Now() + absl::Seconds(environment_->job.limits().start_timeout_s());
  const auto wait = environment_->board->Wait(absl::StrCat(KeyOf(spec_.address), ": start"), deadline);
  int64_t pid = 0;
  uint64_t seen = 0;
  while (absl::Now() < deadline && !retired()) {
    const std::optional<v1::ActorStatus> found = registry.Find(spec_.address, absl::Now());
    if (found.has_value() && found->incarnation() != last_lost_) return *found;
    if (pid != 0 && registry.Exited(spec_.address, pid)) {
      return absl::UnavailableError("its process ended before it registered");
    }
    // 0: it runs already, e.g. since before a restart of the coordinator; it may end before it is heard of.
    if (pid == 0 && environment_->launcher != nullptr) {
      REIN_ASSIGN_OR_RETURN(pid, environment_->launcher->Start(spec_.address));
    }
    seen = registry.AwaitChange(seen, std::min(kWatchInterval, deadline - absl::Now()));
  }
  return absl::DeadlineExceededError(absl::StrCat("did not register within ",
                                                  environment_->job.limits().start_timeout_s(),
                                                  " s (limits.start_timeout_s)"));
}

absl::StatusOr<Target> Keeper::Configure(const v1::ActorStatus& status) {
  REIN_ASSIGN_OR_RETURN(
      transport::Peer peer,
      transport::Peer::Open(status.listen_address(),
                            {.token = environment_->token,
                             .max_message_bytes = environment_->job.limits().max_message_bytes()}));
  const absl::Duration timeout = absl::Seconds(environment_->job.limits().start_timeout_s());
  const auto wait =
      environment_->board->Wait(absl::StrCat(KeyOf(spec_.address), ": configure"), absl::Now() + timeout);
  v1::ConfigureRequest request;
  request.mutable_fence()->set_job_id(environment_->job_id);
  request.mutable_fence()->set_coordinator_epoch(environment_->registry->epoch());
  request.mutable_fence()->set_actor_incarnation(status.incarnation());
  request.mutable_fence()->set_request_id(
      absl::StrCat("configure-", environment_->registry->epoch(), "-", status.incarnation()));
  *request.mutable_job() = environment_->job;
  *request.mutable_address() = spec_.address;
  request.set_model(spec_.model);
  request.set_blobs_address(environment_->blobs_address);
  const auto stub = v1::Actor::NewStub(peer.channel());
  absl::StatusOr<v1::ConfigureResponse> response =
      transport::Call<v1::Actor::Stub, v1::ConfigureRequest, v1::ConfigureResponse>(
          peer, *stub, &v1::Actor::Stub::Configure, request, timeout);
  REIN_RETURN_IF_ERROR(response.status());
  environment_->registry->SetConfigured(spec_.address, status.incarnation(), response->model());
  Target target{.address = spec_.address,
                .peer = std::move(peer),
                .incarnation = status.incarnation(),
                .model = response->model()};
  if (IsScorer(spec_.address.role())) REIN_RETURN_IF_ERROR(Describe(target));
  return target;
}

absl::Status Keeper::Describe(Target& target) {
  const auto stub = v1::Scorer::NewStub(target.peer.channel());
  REIN_ASSIGN_OR_RETURN(target.scorer,
                        (transport::Call<v1::Scorer::Stub, v1::DescribeRequest, v1::DescribeResponse>(
                            target.peer, *stub, &v1::Scorer::Stub::Describe, {}, kDescribeTimeout)));
  if (!target.scorer.digest().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "the scorer at ", target.peer.address(), " describes itself without a digest, which names it in ledger",
      " and checkpoints; let Scorer.Describe return one"));
}

absl::StatusOr<Target> Keeper::ConnectExternal() {
  REIN_ASSIGN_OR_RETURN(
      transport::Peer peer,
      transport::Peer::Open(spec_.external,
                            {.token = environment_->token,
                             .max_message_bytes = environment_->job.limits().max_message_bytes()}));
  const absl::Time deadline = absl::Now() + absl::Seconds(environment_->job.limits().start_timeout_s());
  const auto wait =
      environment_->board->Wait(absl::StrCat(KeyOf(spec_.address), ": answer at ", spec_.external), deadline);
  Target target{.address = spec_.address, .peer = std::move(peer)};
  target.model.set_path(spec_.external);
  uint64_t seen = 0;
  while (!retired()) {
    const absl::Status status = Describe(target);
    if (status.ok()) break;
    if (!absl::IsUnavailable(status) && !absl::IsDeadlineExceeded(status)) return status;
    // There is no process of ours to start again: whoever runs the scorer must act.
    if (absl::Now() >= deadline) {
      return absl::NotFoundError(absl::StrCat(
          "no scorer has answered at ", spec_.external, " for ", environment_->job.limits().start_timeout_s(),
          " s (limits.start_timeout_s); start it there: ", status.message()));
    }
    seen = environment_->registry->AwaitChange(seen, kWatchInterval);
  }
  target.model.set_digest(target.scorer.digest());
  return target;
}

std::string Keeper::WatchUntilLost(const Target& target) {
  uint64_t seen = 0;
  while (!retired()) {
    seen = environment_->registry->AwaitChange(seen, kWatchInterval);
    if (spec_.external.empty()) {
      const std::string why =
          environment_->registry->GoneBecause(spec_.address, target.incarnation, absl::Now());
      if (!why.empty()) return why;
    }
    absl::MutexLock lock(&mutex_);
    if (reported_ == target.incarnation) return reported_why_;
  }
  return "";
}

}  // namespace rein::coordinator
