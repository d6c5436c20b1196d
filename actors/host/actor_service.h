// Actor: configuration, status and end of life, the same for every role.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "actors/host/host.h"
#include "actors/host/role.h"
#include "rein/v1/actor.grpc.pb.h"

namespace rein::host {

// Thread-safe. `host` and `role` outlive it; `on_shutdown` is called, from an RPC thread, when the process
// shall end.
class ActorService : public v1::Actor::Service {
 public:
  ActorService(Host* host, Role* role, std::function<void()> on_shutdown);

  grpc::Status Configure(grpc::ServerContext* context, const v1::ConfigureRequest* request,
                         v1::ConfigureResponse* response) override;
  grpc::Status GetStatus(grpc::ServerContext* context, const v1::ActorStatusRequest* request,
                         v1::ActorStatus* response) override;
  grpc::Status Release(grpc::ServerContext* context, const v1::ReleaseRequest* request,
                       v1::ReleaseResponse* response) override;
  grpc::Status Drain(grpc::ServerContext* context, const v1::DrainRequest* request,
                     v1::DrainResponse* response) override;
  grpc::Status Shutdown(grpc::ServerContext* context, const v1::ShutdownRequest* request,
                        v1::ShutdownResponse* response) override;

  // What GetStatus and the heartbeat tell; never waits for tensor work.
  v1::ActorStatus Status() const;
  void SetListenAddress(const std::string& address);
  // Takes no more work and waits for what was accepted. Errors: DEADLINE_EXCEEDED.
  absl::Status DrainUntil(absl::Time deadline);

 private:
  absl::Status HandleConfigure(const v1::ConfigureRequest& request, v1::ConfigureResponse* response);
  absl::StatusOr<v1::ModelInfo> LoadRole(const Configuration& configuration);
  absl::Status PutAway();
  absl::StatusOr<bool> AnswerIfConfigured(const v1::ConfigureRequest& request,
                                          v1::ConfigureResponse* response);
  absl::Status ConfigureRole(const v1::ConfigureRequest& request, v1::ConfigureResponse* response);
  absl::Status SetBlobs(const v1::ConfigureRequest& request);
  v1::ActorPhase Phase() const;

  Host* const host_;
  Role* const role_;
  const std::function<void()> on_shutdown_;
  std::atomic<bool> configuring_ = false;
  std::atomic<bool> offloads_ = false;  // as the job says, from Configure on
  mutable absl::Mutex mutex_;
  std::string listen_address_ ABSL_GUARDED_BY(mutex_);
  std::string blobs_address_ ABSL_GUARDED_BY(mutex_);
  // What this actor was configured with; no fence, no address of the coordinator, no other actors.
  std::optional<v1::ConfigureRequest> configured_with_ ABSL_GUARDED_BY(mutex_);
  v1::ModelInfo model_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::host
