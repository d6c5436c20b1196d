// The calling side: one Peer per address, with its channel, token and limits.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "transport/status.h"

namespace rein::transport {

struct PeerOptions {
  std::string token;
  int64_t max_message_bytes = 4 << 20;
};

// Cheap to copy; thread-safe. The channel connects when it is first used and reconnects by itself.
class Peer {
 public:
  // `address`: 127.0.0.1:PORT, localhost:PORT or [::1]:PORT. Errors: INVALID_ARGUMENT (malformed, or not
  // loopback).
  static absl::StatusOr<Peer> Open(const std::string& address, const PeerOptions& options);

  const std::string& address() const { return address_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Sets token and deadline; every call of a stub starts with this. `timeout` is finite.
  void Prepare(grpc::ClientContext& context, absl::Duration timeout) const;

 private:
  Peer() = default;

  std::string address_;
  std::string token_;
  std::shared_ptr<grpc::Channel> channel_;
};

enum class Repeat {
  kNever,             // the call is sent once
  kWhileUnavailable,  // idempotent: sent again after UNAVAILABLE, with back-off, until the timeout
};

// One unary call: Call(peer, *stub, &v1::Actor::Stub::GetStatus, request, absl::Seconds(1)).
// Errors: those of the method; DEADLINE_EXCEEDED and UNAVAILABLE name the peer's address.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Peer& peer, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request, absl::Duration timeout, Repeat repeat = Repeat::kNever);

// For streams: the final status, with the peer's address where it could not be reached.
absl::Status FinishStatus(const Peer& peer, const grpc::Status& status);

// "127.0.0.1:0" style check used by Open and by the job file: true for loopback host names and addresses.
bool IsLoopback(const std::string& address);

namespace internal {
// Waits before the next attempt; false when `deadline` would pass.
bool BackOff(int attempt, absl::Time deadline);
}  // namespace internal

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Call(const Peer& peer, Stub& stub,
                              grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                              const Request& request, absl::Duration timeout, Repeat repeat) {
  const absl::Time deadline = absl::Now() + timeout;
  for (int attempt = 0;; ++attempt) {
    grpc::ClientContext context;
    peer.Prepare(context, deadline - absl::Now());
    Response response;
    const absl::Status status = FinishStatus(peer, (stub.*method)(&context, request, &response));
    if (status.ok()) return response;
    if (repeat == Repeat::kNever || !absl::IsUnavailable(status) || !internal::BackOff(attempt, deadline))
      return status;
  }
}

}  // namespace rein::transport
