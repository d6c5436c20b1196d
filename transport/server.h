// The answering side: a gRPC server on loopback that demands the job token on every call and answers
// grpc.health.v1.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"

namespace rein::transport {

struct ServerOptions {
  int port = 0;  // 0: any free one
  // Calls without this token get UNAUTHENTICATED. Never empty in product code; empty turns the check off
  // (external scorers).
  std::string token;
  // Larger messages get RESOURCE_EXHAUSTED.
  int64_t max_message_bytes = 4 << 20;
};

class Server {
 public:
  // `services` outlive the server. Errors: UNAVAILABLE (the port is taken: names it).
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const std::vector<grpc::Service*>& services);
  ~Server();

  // 127.0.0.1:PORT
  const std::string& address() const { return address_; }
  // What grpc.health.v1 answers for the empty service name.
  void SetServing(bool serving);
  // Refuses new calls, gives running ones `grace`, then cancels them. Repeating is harmless.
  void Shutdown(absl::Duration grace);

 private:
  Server() = default;
  class TokenCheck;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace rein::transport
