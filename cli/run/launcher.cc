#include "cli/run/launcher.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "transport/status.h"

namespace rein::cli {
namespace {

// A peer may not occupy one of the server's threads for longer.
constexpr absl::Duration kLongestGrace = absl::Minutes(5);

std::string Name(const v1::ActorAddress& address) {
  return absl::StrCat(address.role(), "/", address.name(), "/", address.replica(),
                      address.rank() > 0 ? absl::StrCat(" rank ", address.rank()) : "");
}

// Role and name become part of a file name.
bool IsWord(const std::string& text) {
  return !text.empty() && text.size() <= 128 && text[0] != '.' && text.find('/') == std::string::npos &&
         text.find('\0') == std::string::npos;
}

absl::Status CheckAddress(const v1::ActorAddress& address) {
  if (IsWord(address.role()) && IsWord(address.name()) && address.replica() >= 0 && address.rank() >= 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("'", Name(address),
                   "' is no actor's address; role and name must be words without '/', replica and rank at "
                   "least 0"));
}

}  // namespace

grpc::Status Launcher::Start(grpc::ServerContext*, const v1::StartActorRequest* request,
                             v1::StartActorResponse* response) {
  const absl::StatusOr<pid_t> pid = StartActor(*request);
  if (!pid.ok()) return transport::ToGrpc(pid.status());
  response->set_pid(*pid);
  return grpc::Status::OK;
}

absl::StatusOr<pid_t> Launcher::StartActor(const v1::StartActorRequest& request) {
  const v1::ActorAddress& address = request.address();
  REIN_RETURN_IF_ERROR(CheckAddress(address));
  absl::MutexLock lock(&mutex_);
  const Key key(address.role(), address.name(), address.replica(), address.rank());
  const auto found = launched_.find(key);
  if (found != launched_.end() && children_->Running(found->second.pid)) {
    return absl::AlreadyExistsError(
        absl::StrCat(Name(address), " runs already, process ", found->second.pid, "; stop it first"));
  }
  const absl::StatusOr<pid_t> pid = children_->Start(CommandFor(request));
  // Whatever kept it from starting, the caller's answer is the same: try again, or give up.
  if (!pid.ok()) return absl::UnavailableError(absl::StrCat(Name(address), ": ", pid.status().message()));
  launched_[key] = {address, *pid};
  return *pid;
}

ChildCommand Launcher::CommandFor(const v1::StartActorRequest& request) const {
  const v1::ActorAddress& address = request.address();
  ChildCommand command;
  command.program = program_;
  command.arguments = {"--run-dir",     run_dir_.string(),
                       "--role",        address.role(),
                       "--name",        address.name(),
                       "--replica",     absl::StrCat(address.replica()),
                       "--rank",        absl::StrCat(address.rank()),
                       "--world",       absl::StrCat(std::max(1, address.world())),
                       "--lifeline-fd", absl::StrCat(ChildProcesses::kLifelineFd)};
  command.environment.insert(request.environment().begin(), request.environment().end());
  const std::string rank = address.rank() > 0 ? absl::StrCat("-", address.rank()) : "";
  command.log = run_dir_ / "logs" /
                absl::StrCat(address.role(), "-", address.name(), "-", address.replica(), rank, ".log");
  return command;
}

grpc::Status Launcher::Stop(grpc::ServerContext*, const v1::StopActorRequest* request,
                            v1::StopActorResponse*) {
  const v1::ActorAddress& address = request->address();
  pid_t pid = 0;
  {
    absl::MutexLock lock(&mutex_);
    const auto found = launched_.find({address.role(), address.name(), address.replica(), address.rank()});
    // Another pid than the one that runs now: the process that was meant is gone already.
    if (found == launched_.end() || (request->pid() != 0 && request->pid() != found->second.pid)) {
      return grpc::Status::OK;
    }
    pid = found->second.pid;
  }
  children_->Stop(pid, std::min(kLongestGrace, absl::Milliseconds(std::max(0, request->grace_ms()))));
  return grpc::Status::OK;
}

grpc::Status Launcher::List(grpc::ServerContext*, const v1::ListActorsRequest*,
                            v1::ListActorsResponse* response) {
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, launched] : launched_) {
    v1::LaunchedActor* actor = response->add_actors();
    *actor->mutable_address() = launched.address;
    actor->set_pid(launched.pid);
    actor->set_running(children_->Running(launched.pid));
    actor->set_exit_status(children_->ExitStatus(launched.pid).value_or(0));
  }
  return grpc::Status::OK;
}

}  // namespace rein::cli
