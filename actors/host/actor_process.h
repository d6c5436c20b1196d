// A running actor: host, role, server and registration, put together and taken apart in the right order.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/actor_service.h"
#include "actors/host/host.h"
#include "actors/host/registration.h"
#include "actors/host/role.h"
#include "transport/server.h"

namespace rein::host {

using MakeRoleFn = std::function<std::unique_ptr<Role>(Host&)>;

struct ProcessOptions {
  HostOptions host;
  // 0: any free one.
  int port = 0;
  RegistrationOptions registration;
  // Called, from another thread, when the process shall end: OK (Shutdown was asked for), or why the
  // coordinator is lost for good.
  std::function<void(const absl::Status&)> on_end;
};

// What a run folder and the address say about an actor: job file, token, limits. `port`: -1 takes the job
// file's. Errors: NOT_FOUND, INVALID_ARGUMENT (names the file).
absl::StatusOr<ProcessOptions> ReadRunFolder(const std::filesystem::path& run_dir,
                                             const v1::ActorAddress& address, int port);

class ActorProcess {
 public:
  // Serves and registers. Errors: UNAVAILABLE (port taken).
  static absl::StatusOr<std::unique_ptr<ActorProcess>> Start(const ProcessOptions& options,
                                                             const MakeRoleFn& make_role);
  ~ActorProcess();

  const std::string& address() const { return server_->address(); }
  Host& host() { return host_; }
  // Takes no more work and waits for what was accepted; the server goes on until destruction.
  // Errors: DEADLINE_EXCEEDED (work still runs; destruction waits for it).
  absl::Status Drain(absl::Duration grace);

 private:
  ActorProcess(const ProcessOptions& options, const MakeRoleFn& make_role);

  Host host_;
  std::unique_ptr<Role> role_;
  ActorService actor_service_;
  std::unique_ptr<transport::Server> server_;
  std::unique_ptr<Registration> registration_;
};

}  // namespace rein::host
