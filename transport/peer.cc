#include "transport/peer.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "grpcpp/security/credentials.h"
#include "transport/token.h"

namespace rein::transport {
namespace {

absl::Status CheckAddress(const std::string& address) {
  int port = 0;
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "' is not an address; expected host:port, e.g. 127.0.0.1:5000"));
  }
  if (!IsLoopback(address)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", address, "' is not a loopback address; allowed: 127.0.0.1, localhost, [::1]. ",
                     "Reach other hosts through a tunnel, e.g. ssh -L"));
  }
  return absl::OkStatus();
}

grpc::ChannelArguments Arguments(const PeerOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.max_message_bytes));
  arguments.SetMaxSendMessageSize(static_cast<int>(options.max_message_bytes));
  // A connection that went silent is noticed within 10 s also while no call is made on it.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  // Also the time that one attempt to connect gets: a busy host must not make it fail.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 5000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // Each peer its own connection: a restarted server is never reached through a stale shared one.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

bool IsLoopback(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  return host == "127.0.0.1" || host == "localhost" || host == "[::1]";
}

absl::StatusOr<Peer> Peer::Open(const std::string& address, const PeerOptions& options) {
  if (absl::Status status = CheckAddress(address); !status.ok()) return status;
  Peer peer;
  peer.address_ = address;
  peer.token_ = options.token;
  peer.channel_ =
      grpc::CreateCustomChannel(address, grpc::experimental::LocalCredentials(LOCAL_TCP), Arguments(options));
  return peer;
}

void Peer::Prepare(grpc::ClientContext& context, absl::Duration timeout) const {
  if (!token_.empty()) context.AddMetadata(kTokenKey, token_);
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

absl::Status FinishStatus(const Peer& peer, const grpc::Status& status) {
  const absl::Status result = FromGrpc(status);
  if (absl::IsUnavailable(result) || absl::IsDeadlineExceeded(result)) {
    return absl::Status(result.code(), absl::StrCat(peer.address(), ": ", result.message()));
  }
  return result;
}

namespace internal {

bool BackOff(int attempt, absl::Time deadline) {
  const absl::Duration wait =
      std::min(absl::Milliseconds(20) * std::exp2(std::min(attempt, 6)), absl::Seconds(1));
  if (absl::Now() + wait >= deadline) return false;
  absl::SleepFor(wait);
  return true;
}

}  // namespace internal
}  // namespace rein::transport
