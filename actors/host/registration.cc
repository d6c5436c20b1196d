#include "actors/host/registration.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log_line.h"
#include "base/status.h"
#include "rein/v1/coordinator.grpc.pb.h"

namespace rein::host {
namespace {

bool IsFinal(const absl::Status& status) {
  return absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status);
}

}  // namespace

Registration::Registration(Host* host, RegistrationOptions options, std::function<v1::ActorStatus()> status,
                           std::function<void(const absl::Status&)> on_lost)
    : host_(host),
      options_(std::move(options)),
      status_(std::move(status)),
      on_lost_(std::move(on_lost)),
      thread_([this] { Loop(); }) {}

Registration::~Registration() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Registration::Loop() {
  do {
    const absl::Status status = Serve();
    if (status.ok()) return;
    if (IsFinal(status)) return on_lost_(status);
    LogWarning(absl::StrCat("coordinator: ", status.message()));
    if (absl::Now() - last_contact_ > options_.give_up_after) {
      return on_lost_(absl::DeadlineExceededError(
          absl::StrCat("no coordinator at the address in ", options_.address_file.string(), " for ",
                       absl::FormatDuration(options_.give_up_after), "; last error: ", status.message())));
    }
  } while (Pause(options_.retry_after));
}

absl::Status Registration::Serve() {
  REIN_ASSIGN_OR_RETURN(const std::string file, ReadFile(options_.address_file, 4096));
  const std::string address(absl::StripAsciiWhitespace(file));
  absl::StatusOr<transport::Peer> peer = host_->OpenPeer(address);
  // A file that holds no address may be about to be replaced: not final.
  if (!peer.ok()) return absl::UnavailableError(peer.status().message());
  REIN_ASSIGN_OR_RETURN(const absl::Duration interval, Register(*peer));
  while (Pause(interval)) REIN_RETURN_IF_ERROR(Heartbeat(*peer));
  return absl::OkStatus();
}

absl::StatusOr<absl::Duration> Registration::Register(const transport::Peer& peer) {
  v1::RegisterRequest request;
  request.set_job_id(host_->fence().job_id());
  request.set_incarnation(host_->fence().incarnation());
  *request.mutable_status() = status_();
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  REIN_ASSIGN_OR_RETURN(const v1::RegisterResponse response,
                        (transport::Call<v1::Coordinator::Stub, v1::RegisterRequest, v1::RegisterResponse>(
                            peer, *stub, &v1::Coordinator::Stub::Register, request, options_.call_timeout)));
  REIN_RETURN_IF_ERROR(Adopt(response.coordinator_epoch()));
  last_contact_ = absl::Now();
  LogInfo(absl::StrCat("registered with the coordinator at ", peer.address(), ", epoch ",
                       response.coordinator_epoch()));
  return absl::Milliseconds(std::max(10, response.heartbeat_interval_ms()));
}

absl::Status Registration::Adopt(uint64_t epoch) {
  v1::Fence fence;
  fence.set_job_id(host_->fence().job_id());
  fence.set_coordinator_epoch(epoch);
  fence.set_actor_incarnation(host_->fence().incarnation());
  return host_->fence().Check(fence);
}

absl::Status Registration::Heartbeat(const transport::Peer& peer) {
  v1::HeartbeatRequest request;
  request.set_job_id(host_->fence().job_id());
  request.set_coordinator_epoch(host_->fence().epoch());
  *request.mutable_status() = status_();
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  REIN_RETURN_IF_ERROR((transport::Call<v1::Coordinator::Stub, v1::HeartbeatRequest, v1::HeartbeatResponse>(
                            peer, *stub, &v1::Coordinator::Stub::Heartbeat, request, options_.call_timeout))
                           .status());
  last_contact_ = absl::Now();
  return absl::OkStatus();
}

bool Registration::Pause(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stop_), duration);
}

}  // namespace rein::host
