// The connection to the coordinator: register, heartbeat, find it again.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "actors/host/host.h"
#include "rein/v1/actor.pb.h"
#include "transport/peer.h"

namespace rein::host {

struct RegistrationOptions {
  // Holds the coordinator's host:port; read again whenever contact is lost.
  std::filesystem::path address_file;
  // How long a lost coordinator is looked for.
  absl::Duration give_up_after = absl::Seconds(60);
  absl::Duration call_timeout = absl::Seconds(3);
  absl::Duration retry_after = absl::Milliseconds(200);
};

// Runs a thread of its own from construction to destruction. The epoch that the coordinator tells is handed
// to the fence, so that messages of older coordinators are refused from then on.
class Registration {
 public:
  // `status` is what heartbeats carry. `on_lost` is called once, from that thread, when the coordinator
  // refuses this actor for good (PERMISSION_DENIED, INVALID_ARGUMENT) or was not found for `give_up_after`
  // (DEADLINE_EXCEEDED).
  Registration(Host* host, RegistrationOptions options, std::function<v1::ActorStatus()> status,
               std::function<void(const absl::Status&)> on_lost);
  ~Registration();

 private:
  void Loop();
  // One contact: registers and sends heartbeats until one fails or the registration is stopped.
  absl::Status Serve();
  absl::StatusOr<absl::Duration> Register(const transport::Peer& peer);
  absl::Status Heartbeat(const transport::Peer& peer);
  absl::Status Adopt(uint64_t epoch);
  // False when it was stopped meanwhile.
  bool Pause(absl::Duration duration);

  Host* const host_;
  const RegistrationOptions options_;
  const std::function<v1::ActorStatus()> status_;
  const std::function<void(const absl::Status&)> on_lost_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_contact_ = absl::Now();  // the loop's own
  std::thread thread_;
};

}  // namespace rein::host
