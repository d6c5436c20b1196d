// The Launcher service: actors started and ended on behalf of the coordinator.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <tuple>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "cli/run/child_processes.h"
#include "rein/v1/coordinator.grpc.pb.h"

namespace rein::cli {

// Knows the newest process of every actor address; an actor is never restarted unasked. Thread-safe.
class Launcher : public v1::Launcher::Service {
 public:
  // `program`: rein-actor. `children` outlives the launcher.
  Launcher(ChildProcesses* children, std::filesystem::path program, std::filesystem::path run_dir)
      : children_(children), program_(std::move(program)), run_dir_(std::move(run_dir)) {}

  grpc::Status Start(grpc::ServerContext* context, const v1::StartActorRequest* request,
                     v1::StartActorResponse* response) override;
  grpc::Status Stop(grpc::ServerContext* context, const v1::StopActorRequest* request,
                    v1::StopActorResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListActorsRequest* request,
                    v1::ListActorsResponse* response) override;

 private:
  // Role, name, replica, rank.
  using Key = std::tuple<std::string, std::string, int, int>;
  struct Launched {
    v1::ActorAddress address;
    pid_t pid = 0;
  };

  absl::StatusOr<pid_t> StartActor(const v1::StartActorRequest& request);
  ChildCommand CommandFor(const v1::StartActorRequest& request) const;

  ChildProcesses* const children_;
  const std::filesystem::path program_;
  const std::filesystem::path run_dir_;
  absl::Mutex mutex_;
  std::map<Key, Launched> launched_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rein::cli
