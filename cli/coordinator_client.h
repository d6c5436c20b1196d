// The calling side of a run's coordinator: which one, and how to reach it.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/statusor.h"
#include "rein/v1/coordinator.grpc.pb.h"
#include "transport/peer.h"

namespace rein::cli {

// Which coordinator a verb talks to.
struct Target {
  std::string run_dir;     // empty: the newest run in ./runs that is going on
  std::string address;     // instead of a run folder
  std::string token_file;  // empty: `token` of the run folder
};

// --run-dir, --address, --token-file.
void AddTargetFlags(CLI::App& verb, Target& target);

// The folder that `target` means, absolute. Errors: NOT_FOUND (no such folder, or no run is going on).
absl::StatusOr<std::filesystem::path> FindRunDir(const Target& target);

// Cheap to copy; thread-safe.
class CoordinatorClient {
 public:
  // Errors: NOT_FOUND (no run, no address, no token), INVALID_ARGUMENT (malformed address),
  // PERMISSION_DENIED (the token file can be read by others).
  static absl::StatusOr<CoordinatorClient> Open(const Target& target);
  // The coordinator that serves the run in this folder now.
  static absl::StatusOr<CoordinatorClient> OfRun(const std::filesystem::path& run_dir);

  const transport::Peer& peer() const { return peer_; }
  v1::Coordinator::Stub& stub() const { return *stub_; }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (v1::Coordinator::Stub::*method)(grpc::ClientContext*,
                                                                              const Request&, Response*),
                                const Request& request, absl::Duration timeout) const {
    return transport::Call<v1::Coordinator::Stub, Request, Response>(peer_, *stub_, method, request, timeout);
  }

 private:
  explicit CoordinatorClient(transport::Peer peer)
      : peer_(std::move(peer)), stub_(v1::Coordinator::NewStub(peer_.channel())) {}

  transport::Peer peer_;
  std::shared_ptr<v1::Coordinator::Stub> stub_;
};

}  // namespace rein::cli
