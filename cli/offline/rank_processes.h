// The ranks of one host: started, watched and ended together.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace rein::cli {

struct RankProcesses {
  int processes = 1;  // on this host
  int nodes = 1;      // hosts, each with as many
  int node_rank = 0;
  std::string rendezvous;  // host:port of node 0; empty with one node: a free port of loopback
  // How long the others have to notice by themselves that one failed, and to say so.
  absl::Duration to_notice = absl::Seconds(5);

  bool requested() const { return processes > 1 || nodes > 1; }
};

// INVALID_ARGUMENT where the numbers do not fit together, or where the environment says that this process is
// a rank already.
absl::Status CheckRankProcesses(const RankProcesses& ranks);

// Starts `program arguments...` once for each rank of this host, told by the variables of
// cli/offline/rank_environment.h which one it is, and waits until all have ended well. The first rank of the
// host writes where this process does, the others to logs/rank-N.log, which is emptied first. When one ends
// badly, or SIGINT, SIGTERM or SIGHUP comes, all end. They end too when this process does. Errors: those of
// CheckRankProcesses; UNAVAILABLE (a rank cannot be started, the store cannot be served); ABORTED (a rank
// failed: which, how, and its last message), CANCELLED (a signal).
absl::Status RunRankProcesses(const RankProcesses& ranks, const std::filesystem::path& program,
                              const std::vector<std::string>& arguments, const std::filesystem::path& logs);

}  // namespace rein::cli
