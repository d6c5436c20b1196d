// rein-actor: one actor process of a run, in the role that --role names.
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "actors/critic/critic_role.h"
#include "actors/guard/guard_role.h"
#include "actors/host/actor_process.h"
#include "actors/policy/policy_role.h"
#include "actors/reference/reference_role.h"
#include "actors/rollout/rollout_role.h"
#include "actors/scorer/scorer_role.h"
#include "base/heap.h"
#include "base/lifeline.h"
#include "base/log_line.h"
#include "base/openmp.h"
#include "base/status.h"

namespace rein {
namespace {

// How long work that was accepted may take to finish after SIGTERM.
constexpr absl::Duration kDrainTime = absl::Seconds(20);
// So that status calls and the coordinator are served at once on a busy host.
constexpr int kNice = 5;

const std::map<std::string, host::MakeRoleFn>& Roles() {
  static const std::map<std::string, host::MakeRoleFn> roles = {
      {"policy", policy::MakeRole}, {"rollout", rollout::MakeRole}, {"reference", reference::MakeRole},
      {"reward", scorer::MakeRole}, {"cost", scorer::MakeRole},     {"critic", critic::MakeRole},
      {"guard", guard::MakeRole},
  };
  return roles;
}

struct Flags {
  std::string run_dir;
  v1::ActorAddress address;
  int port = -1;
  int lifeline_fd = -1;
};

void DeclareFlags(CLI::App& app, Flags& flags, std::string& role, std::string& name, int& replica, int& rank,
                  int& world) {
  app.add_option("--run-dir", flags.run_dir, "run folder, made by `rein run`")->required();
  app.add_option("--role", role, "policy, rollout, reference, reward, cost, critic or guard")->required();
  app.add_option("--name", name, "name among actors of the role; default: the role");
  app.add_option("--replica", replica, "number among replicas")->check(CLI::NonNegativeNumber);
  app.add_option("--rank", rank, "rank within the replica")->check(CLI::NonNegativeNumber);
  app.add_option("--world", world, "ranks of the replica")->check(CLI::PositiveNumber);
  app.add_option("--port", flags.port, "port to listen on; default: the job file's, 0: any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--lifeline-fd", flags.lifeline_fd, "the process ends when this pipe is closed");
}

// The exit status where the process shall not go on.
absl::StatusOr<Flags> ParseFlags(int argc, char** argv, int& exit_status) {
  CLI::App app("One actor process of a run; started by `rein run`.", "rein-actor");
  Flags flags;
  std::string role, name;
  int replica = 0, rank = 0, world = 1;
  DeclareFlags(app, flags, role, name, replica, rank, world);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    exit_status = app.exit(error) == 0 ? 0 : 2;
    return absl::InvalidArgumentError("flags");
  }
  flags.address.set_role(role);
  flags.address.set_name(name.empty() ? role : name);
  flags.address.set_replica(replica);
  flags.address.set_rank(rank);
  flags.address.set_world(world);
  return flags;
}

absl::StatusOr<host::MakeRoleFn> FindRole(const std::string& role) {
  const auto found = Roles().find(role);
  if (found != Roles().end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [name, make] : Roles()) names.push_back(name);
  return absl::InvalidArgumentError(
      absl::StrCat("unknown role '", role, "'; use one of ", absl::StrJoin(names, ", ")));
}

// From now on these signals wait until WaitForEnd takes them, whichever thread they hit.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

uint64_t DrawIncarnation() {
  std::random_device device;
  const uint64_t value = (uint64_t{device()} << 32) | device();
  return value == 0 ? 1 : value;
}

absl::Status RunActor(const Flags& flags) {
  REIN_ASSIGN_OR_RETURN(const host::MakeRoleFn make_role, FindRole(flags.address.role()));
  REIN_ASSIGN_OR_RETURN(host::ProcessOptions options,
                        host::ReadRunFolder(flags.run_dir, flags.address, flags.port));
  const sigset_t signals = BlockEndSignals();
  options.host.incarnation = DrawIncarnation();
  absl::Mutex mutex;
  absl::Status end_status;
  options.on_end = [&](const absl::Status& status) {
    absl::MutexLock lock(&mutex);
    if (end_status.ok()) end_status = status;
    kill(getpid(), SIGTERM);
  };
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<host::ActorProcess> process,
                        host::ActorProcess::Start(options, make_role));
  int signal_number = 0;
  sigwait(&signals, &signal_number);
  LogInfo("draining");
  if (const absl::Status drained = process->Drain(kDrainTime); !drained.ok()) {
    LogError(absl::StrCat("work is cut off: ", drained.ToString()));
    std::_Exit(1);
  }
  absl::MutexLock lock(&mutex);
  return end_status;
}

}  // namespace
}  // namespace rein

int main(int argc, char** argv) {
  rein::MakeProductsRepeatable();
  rein::UseHugePages();
  int exit_status = 2;
  const absl::StatusOr<rein::Flags> flags = rein::ParseFlags(argc, argv, exit_status);
  if (!flags.ok()) return exit_status;
  rein::FollowLifeline(flags->lifeline_fd);
  rein::SetUpLogging(absl::StrCat("rein-actor ", flags->address.role(), "/", flags->address.name(), "/",
                                  flags->address.replica()));
  setpriority(PRIO_PROCESS, 0, rein::kNice);
  const absl::Status status = rein::RunActor(*flags);
  if (status.ok()) return 0;
  rein::LogError(status.message());
  return absl::IsInvalidArgument(status) ? 2 : 1;
}
