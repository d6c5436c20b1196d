#include "collectives/weight_group.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "collectives/c10d_group.h"

namespace rein::collectives {
namespace {

struct HostPort {
  std::string host;
  int port = 0;
};

absl::StatusOr<HostPort> ParseAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  HostPort parsed;
  if (colon == std::string::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &parsed.port) || parsed.port <= 0 || parsed.port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("store_address must be host:port, not \"", address, "\""));
  }
  parsed.host = address.substr(0, colon);
  return parsed;
}

class StoreRendezvous : public Rendezvous {
 public:
  StoreRendezvous(c10::intrusive_ptr<c10d::TCPStore> store, const std::string& host)
      : store_(std::move(store)), address_(absl::StrCat(host, ":", store_->getPort())) {}
  const std::string& address() const override { return address_; }

 private:
  c10::intrusive_ptr<c10d::TCPStore> store_;
  std::string address_;
};

// A listening socket on exactly this address: by itself the store would listen on all of them.
absl::StatusOr<int> Listen(const std::string& host, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (port < 0 || port > 65535 || inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1)
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", host, ":", port, ": no IPv4 address and port"));
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (fd < 0 || bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(fd, 128) != 0) {
    const std::string reason = std::strerror(errno);
    if (fd >= 0) close(fd);
    return absl::UnavailableError(absl::StrCat("cannot listen on ", host, ":", port, ": ", reason));
  }
  return fd;
}

uint16_t PortOf(int fd) {
  sockaddr_in address = {};
  socklen_t size = sizeof address;
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

absl::Status Check(const GroupOptions& options) {
  if (options.world < 1 || options.rank < 0 || options.rank >= options.world) {
    return absl::InvalidArgumentError(
        absl::StrCat("rank must be in [0, world), got rank ", options.rank, " of ", options.world));
  }
  if (options.timeout <= absl::ZeroDuration() || options.timeout > absl::Hours(24))
    return absl::InvalidArgumentError(absl::StrCat("the timeout must be positive and at most a day, not ",
                                                   absl::FormatDuration(options.timeout)));
#ifndef REIN_CUDA
  if (options.backend == GroupBackend::kNccl)
    return absl::UnimplementedError(
        "this build has no CUDA, so no NCCL; use gloo or grpc for weight_sync.backend");
#endif
  return absl::OkStatus();
}

std::unique_ptr<WeightGroup> Join(const GroupOptions& options, const HostPort& address) {
  c10d::TCPStoreOptions client;
  client.port = static_cast<uint16_t>(address.port);
  client.waitWorkers = false;
  client.timeout = Milliseconds(options.timeout);
  auto store = c10::make_intrusive<c10d::PrefixStore>(
      absl::StrCat("epoch ", options.epoch), c10::make_intrusive<c10d::TCPStore>(address.host, client));
#ifdef REIN_CUDA
  if (options.backend == GroupBackend::kNccl) return JoinNccl(options, std::move(store));
#endif
  return JoinGloo(options, std::move(store));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Rendezvous>> ServeRendezvous(const std::string& host, int port) {
  REIN_ASSIGN_OR_RETURN(const int fd, Listen(host, port));
  c10d::TCPStoreOptions server;
  server.isServer = true;
  server.waitWorkers = false;
  server.masterListenFd = fd;
  server.port = PortOf(fd);
  try {
    return std::unique_ptr<Rendezvous>(
        new StoreRendezvous(c10::make_intrusive<c10d::TCPStore>(host, server), host));
  } catch (const std::exception& error) {
    return StatusOf(error, absl::StrCat("serving the rendezvous of weight groups on ", host));
  }
}

absl::StatusOr<std::unique_ptr<WeightGroup>> JoinWeightGroup(const GroupOptions& options) {
  REIN_RETURN_IF_ERROR(Check(options));
  REIN_ASSIGN_OR_RETURN(const HostPort address, ParseAddress(options.store_address));
  try {
    return Join(options, address);
  } catch (const std::exception& error) {
    return StatusOf(error,
                    absl::StrCat("joining the ", options.name, " of epoch ", options.epoch, " at ",
                                 options.store_address, " as rank ", options.rank, " of ", options.world));
  }
}

}  // namespace rein::collectives
