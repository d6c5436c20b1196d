#include "cli/offline/rank_environment.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::cli {
namespace {

// Rank 0 may write a large state meanwhile. A rank that dies is noticed at once.
constexpr absl::Duration kLongestWait = absl::Minutes(30);

absl::StatusOr<int> NumberOf(const GetVariable& get, const char* name, int low, int high) {
  const std::string text = get(name);
  int value = 0;
  if (absl::SimpleAtoi(text, &value) && value >= low && value <= high) return value;
  return absl::InvalidArgumentError(
      absl::StrCat(kWorldSize, " says that this is one of several ranks, which need ", name, " from ", low,
                   " to ", high, ", got '", text,
                   "': start them with --processes or torchrun, or set RANK, WORLD_SIZE, MASTER_ADDR and "
                   "MASTER_PORT"));
}

sockaddr_in AddressOf(const std::string& ipv4, int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  inet_pton(AF_INET, ipv4.c_str(), &address.sin_addr);
  return address;
}

// The address of this host on its way to another one: nothing is sent.
absl::StatusOr<std::string> OwnAddressTowards(const std::string& ipv4, int port) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup close_it = [fd] { close(fd); };
  const sockaddr_in target = AddressOf(ipv4, port);
  sockaddr_in own = {};
  socklen_t size = sizeof own;
  char text[INET_ADDRSTRLEN] = {};
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&target), sizeof target) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
      inet_ntop(AF_INET, &own.sin_addr, text, sizeof text) == nullptr) {
    return absl::UnavailableError(absl::StrCat("there is no way from this host to ", ipv4));
  }
  return std::string(text);
}

}  // namespace

std::string EnvironmentVariable(const char* name) {
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

absl::StatusOr<RankEnvironment> ReadRankEnvironment(const GetVariable& get) {
  constexpr int kMost = 1 << 16;
  RankEnvironment environment;
  if (get(kWorldSize).empty()) return environment;
  REIN_ASSIGN_OR_RETURN(environment.world, NumberOf(get, kWorldSize, 1, kMost));
  if (environment.world == 1) return environment;
  REIN_ASSIGN_OR_RETURN(environment.rank, NumberOf(get, kRank, 0, environment.world - 1));
  REIN_ASSIGN_OR_RETURN(environment.port, NumberOf(get, kMasterPort, 1, 65535));
  environment.host = get(kMasterAddress);
  if (environment.host.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kMasterAddress, " must be the host of rank 0 where ", kWorldSize, " is more than 1"));
  }
  environment.agent_serves_store = get(kAgentServesStore) == "True";
  if (!get(kRestartCount).empty()) {
    REIN_ASSIGN_OR_RETURN(environment.restarts, NumberOf(get, kRestartCount, 0, kMost));
  }
  return environment;
}

absl::StatusOr<std::string> ResolveHost(const std::string& host) {
  addrinfo hints = {};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    return absl::UnavailableError(
        absl::StrCat("host '", host, "' has no IPv4 address: ", gai_strerror(error)));
  }
  const absl::Cleanup free_it = [found] { freeaddrinfo(found); };
  char text[INET_ADDRSTRLEN] = {};
  inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(found->ai_addr)->sin_addr, text, sizeof text);
  return std::string(text);
}

absl::StatusOr<JoinedRanks> JoinRanks(const RankEnvironment& environment) {
  JoinedRanks joined;
  if (environment.world == 1) return joined;
  REIN_ASSIGN_OR_RETURN(const std::string host, ResolveHost(environment.host));
  if (environment.rank == 0 && !environment.agent_serves_store) {
    REIN_ASSIGN_OR_RETURN(joined.store, collectives::ServeRendezvous(host, environment.port));
  }
  collectives::GroupOptions options;
  options.name = "training group";
  options.store_address = absl::StrCat(host, ":", environment.port);
  REIN_ASSIGN_OR_RETURN(options.host, OwnAddressTowards(host, environment.port));
  options.epoch = environment.restarts;
  options.rank = environment.rank;
  options.world = environment.world;
  options.timeout = kLongestWait;
  REIN_ASSIGN_OR_RETURN(auto group, collectives::JoinWeightGroup(options));
  joined.ranks = training::Ranks(std::move(group));
  return joined;
}

}  // namespace rein::cli
