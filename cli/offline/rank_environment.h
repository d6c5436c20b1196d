// Which rank of a training this process is, by the environment variables of torchrun.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "collectives/weight_group.h"
#include "training/ranks.h"

namespace rein::cli {

inline constexpr char kRank[] = "RANK";
inline constexpr char kWorldSize[] = "WORLD_SIZE";
inline constexpr char kMasterAddress[] = "MASTER_ADDR";
inline constexpr char kMasterPort[] = "MASTER_PORT";
// "True": the store at MASTER_ADDR:MASTER_PORT is served by whoever started the ranks; otherwise rank 0 does.
inline constexpr char kAgentServesStore[] = "TORCHELASTIC_USE_AGENT_STORE";
inline constexpr char kRestartCount[] = "TORCHELASTIC_RESTART_COUNT";
// The file descriptor of base/lifeline.h; set by rein only.
inline constexpr char kLifeline[] = "REIN_LIFELINE_FD";

struct RankEnvironment {
  int rank = 0;
  int world = 1;
  std::string host;  // name or IPv4 address
  int port = 0;
  bool agent_serves_store = false;
  uint64_t restarts = 0;
};

// "" where a variable is not set.
using GetVariable = std::function<std::string(const char* name)>;
std::string EnvironmentVariable(const char* name);

// Alone where WORLD_SIZE is not set or 1. Errors: INVALID_ARGUMENT (a variable is missing, no number or out
// of range: says which).
absl::StatusOr<RankEnvironment> ReadRankEnvironment(const GetVariable& get = EnvironmentVariable);

// Members in the order in which they must be made; the store outlives the group.
struct JoinedRanks {
  std::unique_ptr<collectives::Rendezvous> store;  // where this process serves it
  training::Ranks ranks;
};

// Meets the other ranks. Collectives wait at most half an hour. Errors: UNAVAILABLE (no such host or nobody
// serves the store there, or it cannot be served), DEADLINE_EXCEEDED (not all ranks came).
absl::StatusOr<JoinedRanks> JoinRanks(const RankEnvironment& environment);

// The IPv4 address of a host name. Errors: UNAVAILABLE.
absl::StatusOr<std::string> ResolveHost(const std::string& host);

}  // namespace rein::cli
