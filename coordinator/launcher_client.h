// The supervisor's Launcher service, as the coordinator calls it.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/peer.h"

namespace rein::coordinator {

// Thread-safe.
class LauncherClient {
 public:
  explicit LauncherClient(transport::Peer peer)
      : peer_(std::move(peer)), stub_(v1::Launcher::NewStub(peer_.channel())) {}

  // The process id; 0 where that actor runs already. Errors: UNAVAILABLE (cannot be started: why).
  absl::StatusOr<int64_t> Start(const v1::ActorAddress& address);
  // SIGTERM, SIGKILL after `grace`. OK when it is gone already.
  absl::Status Stop(const v1::ActorAddress& address, absl::Duration grace);
  absl::StatusOr<std::vector<v1::LaunchedActor>> List();

 private:
  transport::Peer peer_;
  std::unique_ptr<v1::Launcher::Stub> stub_;
};

}  // namespace rein::coordinator
