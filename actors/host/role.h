// What a role of rein-actor implements. The shell (host.h) does the rest: process, server, registration,
// heartbeat.
//
// Life of a role: 1. MakeRole(host) constructs it; its services are registered with the server and answer
// FAILED_PRECONDITION. 2. Configure, once, on the executor thread. 3. Its services work; every handler goes
// through host::Answer and begins with Host::Admit; tensor work goes through Host::Compute. 4. Drain, then
// destruction after the server has stopped and the executor is idle.
//
// Each role's folder offers `std::unique_ptr<host::Role> MakeRole(host::Host& host)` in its own namespace.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/offload.h"
#include "grpcpp/grpcpp.h"
#include "rein/v1/common.pb.h"
#include "rein/v1/job.pb.h"

namespace rein::host {

// What the coordinator said in Configure.
struct Configuration {
  v1::Job job;
  // This actor's entry in job.actors; for a swapped scorer with the new model folder.
  v1::ActorSpec spec;
  // Absolute.
  std::filesystem::path model;
  // Shown as the actor's activity; may be empty. Called on the executor thread.
  std::function<void(const std::string& activity)> show;
};

class Role {
 public:
  virtual ~Role() = default;

  // The role's services, without Actor; owned by the role.
  virtual std::vector<grpc::Service*> services() = 0;

  // Loads the model. Called on the executor thread, once with success; after an error it may be called again.
  // Exceptions may leave it: the shell turns them into a Status.
  virtual absl::StatusOr<v1::ModelInfo> Configure(const Configuration& configuration) = 0;

  // Any thread, within milliseconds. Roles that hold versioned weights override it.
  virtual v1::WeightVersion weight_version() const { return {}; }

  // Names the storages that may leave memory until the executor has work again. Executor thread, after
  // Configure. Errors: UNAVAILABLE (unfinished work needs them).
  virtual absl::StatusOr<Releasable> Release() { return Releasable(); }

  // Finishes work that the executor's queue does not show (running generations); Host::Admit refuses new work
  // already. Called on an RPC thread. Errors: DEADLINE_EXCEEDED.
  virtual absl::Status Drain(absl::Time /*deadline*/) { return absl::OkStatus(); }
};

}  // namespace rein::host
