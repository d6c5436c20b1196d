#include "coordinator/fakes/fake_actor.h"

#include <stdexcept>
#include <utility>

#include "absl/strings/ascii.h"
#include "base/file.h"
#include "base/status.h"
#include "coordinator/fakes/services.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/peer.h"

namespace rein::coordinator::fakes {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(10);
constexpr absl::Duration kRetryAfter = absl::Milliseconds(20);

}  // namespace

FakeActor::FakeActor(FakeActorOptions options, Script* script, WeightBoard* weights)
    : options_(std::move(options)),
      life_(options_.address, options_.job_id, options_.incarnation, script, weights, [this] { Die(); }),
      services_(MakeServices(options_.address.role(), &life_)) {
  std::vector<grpc::Service*> services;
  for (const auto& service : services_) services.push_back(service.get());
  auto server = transport::Server::Start({.token = options_.token}, services);
  if (!server.ok()) throw std::runtime_error(server.status().ToString());
  server_ = *std::move(server);
  thread_ = std::thread([this] { Loop(); });
}

FakeActor::~FakeActor() { Kill(); }

void FakeActor::Die() {
  absl::MutexLock lock(&mutex_);
  dying_ = true;
}

void FakeActor::Kill() {
  Die();
  absl::MutexLock lock(&join_mutex_);
  if (thread_.joinable()) thread_.join();
}

bool FakeActor::Pause(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&dying_), duration);
}

void FakeActor::Loop() {
  do {
    const absl::Status status = KeepContact();
    if (absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status)) Die();
  } while (Pause(kRetryAfter));
  server_->Shutdown(absl::ZeroDuration());
  dead_ = true;
}

v1::ActorStatus FakeActor::Status() const {
  v1::ActorStatus status;
  *status.mutable_address() = options_.address;
  status.set_phase(v1::READY);
  status.set_pid(options_.pid);
  status.set_listen_address(server_->address());
  status.set_incarnation(options_.incarnation);
  return status;
}

absl::Status FakeActor::KeepContact() {
  REIN_ASSIGN_OR_RETURN(const std::string file, ReadFile(options_.address_file));
  REIN_ASSIGN_OR_RETURN(
      const transport::Peer peer,
      transport::Peer::Open(std::string(absl::StripAsciiWhitespace(file)), {.token = options_.token}));
  const auto stub = v1::Coordinator::NewStub(peer.channel());
  v1::RegisterRequest request;
  request.set_job_id(options_.job_id);
  request.set_incarnation(options_.incarnation);
  *request.mutable_status() = Status();
  REIN_ASSIGN_OR_RETURN(const v1::RegisterResponse response,
                        (transport::Call<v1::Coordinator::Stub, v1::RegisterRequest, v1::RegisterResponse>(
                            peer, *stub, &v1::Coordinator::Stub::Register, request, kCallTimeout)));
  v1::HeartbeatRequest heartbeat;
  heartbeat.set_job_id(options_.job_id);
  heartbeat.set_coordinator_epoch(response.coordinator_epoch());
  *heartbeat.mutable_status() = Status();
  while (Pause(absl::Milliseconds(response.heartbeat_interval_ms()))) {
    if (life_.script().mute()) continue;
    REIN_RETURN_IF_ERROR((transport::Call<v1::Coordinator::Stub, v1::HeartbeatRequest, v1::HeartbeatResponse>(
                              peer, *stub, &v1::Coordinator::Stub::Heartbeat, heartbeat, kCallTimeout))
                             .status());
  }
  return absl::OkStatus();
}

}  // namespace rein::coordinator::fakes
