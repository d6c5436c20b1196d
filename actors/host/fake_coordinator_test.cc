#include "actors/host/fake_coordinator.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "base/hash.h"
#include "transport/job_file.h"

namespace rein::host {

FakeCoordinator::FakeCoordinator(const std::filesystem::path& address_file, uint64_t epoch)
    : epoch_(epoch), blobs_([this](const std::string& digest) -> absl::StatusOr<transport::Blob> {
        absl::MutexLock lock(&mutex_);
        const auto found = pictures_.find(digest);
        if (found == pictures_.end()) return absl::NotFoundError("no such picture");
        ++pictures_served_;
        return found->second;
      }) {
  auto server = transport::Server::Start({.token = kToken}, {this, &blobs_});
  EXPECT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  EXPECT_EQ(WriteFileAtomically(address_file, server_->address()), absl::OkStatus());
}

grpc::Status FakeCoordinator::Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                                       v1::RegisterResponse* response) {
  absl::MutexLock lock(&mutex_);
  ++registrations_;
  last_registration_ = *request;
  response->set_coordinator_epoch(epoch_);
  response->set_heartbeat_interval_ms(10);
  return transport::ToGrpc(refusal_);
}

grpc::Status FakeCoordinator::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                        v1::HeartbeatResponse*) {
  absl::MutexLock lock(&mutex_);
  if (request->coordinator_epoch() != epoch_) return transport::ToGrpc(absl::AbortedError("another epoch"));
  ++heartbeats_;
  return grpc::Status::OK;
}

void FakeCoordinator::Refuse(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  refusal_ = status;
}

void FakeCoordinator::SetEpoch(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  epoch_ = epoch;
}

std::string FakeCoordinator::AddPicture(const std::string& encoded) {
  absl::MutexLock lock(&mutex_);
  const std::string digest = Sha256Hex(encoded);
  pictures_[digest] = std::make_shared<const std::string>(encoded);
  return digest;
}

int64_t FakeCoordinator::pictures_served() const {
  absl::MutexLock lock(&mutex_);
  return pictures_served_;
}

bool FakeCoordinator::AwaitRegistrations(int count) {
  absl::MutexLock lock(&mutex_);
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return registrations_ >= count; };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

bool FakeCoordinator::AwaitHeartbeats(int count) {
  absl::MutexLock lock(&mutex_);
  const auto there = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return heartbeats_ >= count; };
  return mutex_.AwaitWithTimeout(absl::Condition(&there), kPatience);
}

v1::RegisterRequest FakeCoordinator::last_registration() const {
  absl::MutexLock lock(&mutex_);
  return last_registration_;
}

v1::Job TestJob(const std::string& yaml) {
  v1::Job job;
  const absl::Status status = transport::ParseYaml("steps: 10\ndata: {prompts: /none}\n" + yaml, "test",
                                                   std::filesystem::current_path(), {}, &job);
  EXPECT_EQ(status, absl::OkStatus());
  return job;
}

v1::ActorAddress TestAddress(const std::string& role, const std::string& name) {
  v1::ActorAddress address;
  address.set_role(role);
  address.set_name(name);
  address.set_world(1);
  return address;
}

v1::Fence TestFence(const std::string& request_id, uint64_t epoch) {
  v1::Fence fence;
  fence.set_job_id(kJobId);
  fence.set_coordinator_epoch(epoch);
  fence.set_actor_incarnation(kIncarnation);
  fence.set_request_id(request_id);
  return fence;
}

ProcessOptions TestProcess(const std::filesystem::path& address_file, const v1::ActorAddress& address) {
  ProcessOptions options;
  options.host.job_id = kJobId;
  options.host.token = kToken;
  options.host.address = address;
  options.host.incarnation = kIncarnation;
  options.host.run_dir = address_file.parent_path();
  options.registration.address_file = address_file;
  options.registration.retry_after = absl::Milliseconds(5);
  options.on_end = [](const absl::Status&) {};
  return options;
}

transport::Peer TestPeer(const std::string& address, const std::string& token) {
  const auto peer = transport::Peer::Open(address, {.token = token});
  EXPECT_TRUE(peer.ok()) << peer.status();
  return *peer;
}

}  // namespace rein::host
