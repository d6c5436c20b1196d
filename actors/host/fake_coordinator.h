// For tests: a coordinator that counts what actors tell it and serves pictures, and an actor that lives in
// the test.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "actors/host/actor_process.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/blobs.h"
#include "transport/peer.h"
#include "transport/server.h"

namespace rein::host {

inline constexpr char kToken[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
inline constexpr char kJobId[] = "job-under-test";
inline constexpr uint64_t kIncarnation = 4711;
inline constexpr absl::Duration kPatience = absl::Seconds(30);

// Thread-safe.
class FakeCoordinator : public v1::Coordinator::Service {
 public:
  // Serves, and writes its address to `address_file`.
  FakeCoordinator(const std::filesystem::path& address_file, uint64_t epoch);

  grpc::Status Register(grpc::ServerContext*, const v1::RegisterRequest* request,
                        v1::RegisterResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse*) override;

  const std::string& address() const { return server_->address(); }
  // Refuses registrations with this error.
  void Refuse(const absl::Status& status);
  // As a rollback does: heartbeats of the epoch before are refused.
  void SetEpoch(uint64_t epoch);
  // Serves this picture; returns its digest.
  std::string AddPicture(const std::string& encoded);
  int64_t pictures_served() const;

  // Wait until it has happened that often in all; false after kPatience.
  bool AwaitRegistrations(int count);
  bool AwaitHeartbeats(int count);
  v1::RegisterRequest last_registration() const;

 private:
  mutable absl::Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_);
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
  int registrations_ ABSL_GUARDED_BY(mutex_) = 0;
  int heartbeats_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::RegisterRequest last_registration_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, transport::Blob> pictures_ ABSL_GUARDED_BY(mutex_);
  int64_t pictures_served_ ABSL_GUARDED_BY(mutex_) = 0;
  transport::BlobService blobs_;
  std::unique_ptr<transport::Server> server_;
};

// A job with all defaults, for actors without a run folder. `yaml` adds to it.
v1::Job TestJob(const std::string& yaml);
v1::ActorAddress TestAddress(const std::string& role, const std::string& name);
v1::Fence TestFence(const std::string& request_id, uint64_t epoch = 1);
ProcessOptions TestProcess(const std::filesystem::path& address_file, const v1::ActorAddress& address);
transport::Peer TestPeer(const std::string& address, const std::string& token = kToken);

}  // namespace rein::host
