#include "cli/offline/rank_processes.h"

#include <string.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/offline/rank_environment.h"
#include "cli/run/child_processes.h"
#include "cli/run/stop_signals.h"
#include "cli/run_files.h"
#include "collectives/weight_group.h"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kToEnd = absl::Seconds(10);

struct Address {
  std::string host;
  int port = 0;
};

absl::StatusOr<Address> ParseRendezvous(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, absl::MaxSplits(':', 1));
  Address address{parts[0], 0};
  if (parts.size() == 2 && !address.host.empty() && absl::SimpleAtoi(parts[1], &address.port) &&
      address.port >= 1 && address.port <= 65535) {
    return address;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--rendezvous must be HOST:PORT, a host of node 0 and a free port there, got '", text, "'"));
}

// The ranks of this host while they run.
class RankGroup {
 public:
  RankGroup(const RankProcesses& ranks, fs::path logs)
      : ranks_(ranks), logs_(std::move(logs)), signals_([this](int number) {
          absl::MutexLock lock(&mutex_);
          if (signal_ == 0) signal_ = number;
        }) {}

  absl::Status Run(const fs::path& program, const std::vector<std::string>& arguments) {
    REIN_RETURN_IF_ERROR(MakeFolder(logs_));
    REIN_RETURN_IF_ERROR(Meet());
    REIN_ASSIGN_OR_RETURN(children_, ChildProcesses::Create([this](pid_t pid, int wait_status) {
                            absl::MutexLock lock(&mutex_);
                            ++ended_;
                            if (wait_status != 0 && !failed_) failed_ = {pid, wait_status};
                          }));
    for (int local = 0; local < ranks_.processes; ++local)
      REIN_RETURN_IF_ERROR(Start(local, program, arguments));
    return Watch();
  }

 private:
  struct Failed {
    pid_t pid;
    int wait_status;
  };

  // Decides where the ranks find each other; on node 0 serves the store.
  absl::Status Meet() {
    Address address{"127.0.0.1", 0};
    if (!ranks_.rendezvous.empty()) {
      REIN_ASSIGN_OR_RETURN(address, ParseRendezvous(ranks_.rendezvous));
    }
    if (ranks_.node_rank == 0) {
      REIN_ASSIGN_OR_RETURN(const std::string host, ResolveHost(address.host));
      REIN_ASSIGN_OR_RETURN(store_, collectives::ServeRendezvous(host, address.port));
      REIN_ASSIGN_OR_RETURN(address, ParseRendezvous(store_->address()));
    }
    environment_ = {{kWorldSize, absl::StrCat(ranks_.nodes * ranks_.processes)},
                    {kMasterAddress, address.host},
                    {kMasterPort, absl::StrCat(address.port)},
                    {kAgentServesStore, "True"},
                    {kRestartCount, ""},
                    {kLifeline, absl::StrCat(ChildProcesses::kLifelineFd)}};
    return absl::OkStatus();
  }

  int RankOf(int local) const { return ranks_.node_rank * ranks_.processes + local; }
  fs::path LogOf(int local) const { return logs_ / absl::StrCat("rank-", RankOf(local), ".log"); }

  absl::Status Start(int local, const fs::path& program, const std::vector<std::string>& arguments) {
    ChildCommand command{.program = program, .arguments = arguments, .environment = environment_};
    command.environment[kRank] = absl::StrCat(RankOf(local));
    command.environment["LOCAL_RANK"] = absl::StrCat(local);
    if (local > 0) {
      command.log = LogOf(local);
      std::error_code error;
      fs::remove(command.log, error);
    }
    REIN_ASSIGN_OR_RETURN(const pid_t pid, children_->Start(command));
    local_of_[pid] = local;
    return absl::OkStatus();
  }

  absl::Status Watch() {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &RankGroup::IsOver));
      if (failed_) mutex_.AwaitWithTimeout(absl::Condition(this, &RankGroup::AllEnded), ranks_.to_notice);
    }
    children_->EndAll(kToEnd);
    absl::MutexLock lock(&mutex_);
    if (signal_ != 0)
      return absl::CancelledError(absl::StrCat("stopped by signal ", signal_, " (", strsignal(signal_), ")"));
    return failed_ ? Explain(*failed_) : absl::OkStatus();
  }

  absl::Status Explain(const Failed& failed) const {
    const int local = local_of_.at(failed.pid);
    std::string text = absl::StrCat("rank ", RankOf(local), " of ", ranks_.nodes * ranks_.processes, ": ",
                                    DescribeExit(failed.wait_status), ", so all have ended");
    if (local == 0) {
      absl::StrAppend(&text, "; what it said is above");
    } else if (const std::string last = LastLogLine(LogOf(local)); !last.empty()) {
      absl::StrAppend(&text, "; its last message: ", last, " (", LogOf(local).string(), ")");
    }
    return absl::AbortedError(text);
  }

  bool AllEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return ended_ == ranks_.processes; }
  bool IsOver() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return AllEnded() || failed_.has_value() || signal_ != 0;
  }

  const RankProcesses ranks_;
  const fs::path logs_;
  absl::Mutex mutex_;
  int ended_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<Failed> failed_ ABSL_GUARDED_BY(mutex_);  // the first one
  int signal_ ABSL_GUARDED_BY(mutex_) = 0;
  StopSignals signals_;  // before other threads
  std::unique_ptr<collectives::Rendezvous> store_;
  std::map<std::string, std::string> environment_;
  std::map<pid_t, int> local_of_;
  std::unique_ptr<ChildProcesses> children_;  // ends first
};

}  // namespace

absl::Status CheckRankProcesses(const RankProcesses& ranks) {
  const auto bad = [](auto... what) { return absl::InvalidArgumentError(absl::StrCat(what...)); };
  if (ranks.node_rank >= ranks.nodes)
    return bad("--node-rank is ", ranks.node_rank, ": with --nodes ", ranks.nodes, " it is less than that");
  if (ranks.nodes > 1 && ranks.rendezvous.empty())
    return bad("--nodes ", ranks.nodes, " needs --rendezvous HOST:PORT, the same on all of them");
  if (!ranks.rendezvous.empty()) REIN_RETURN_IF_ERROR(ParseRendezvous(ranks.rendezvous).status());
  if (ranks.requested() && !EnvironmentVariable(kWorldSize).empty() &&
      EnvironmentVariable(kWorldSize) != "1") {
    return bad("--processes and --nodes start ranks, but ", kWorldSize, "=", EnvironmentVariable(kWorldSize),
               " says that this is one already (torchrun?): leave out one of the two");
  }
  return absl::OkStatus();
}

absl::Status RunRankProcesses(const RankProcesses& ranks, const fs::path& program,
                              const std::vector<std::string>& arguments, const fs::path& logs) {
  REIN_RETURN_IF_ERROR(CheckRankProcesses(ranks));
  RankGroup group(ranks, logs);
  return group.Run(program, arguments);
}

}  // namespace rein::cli
