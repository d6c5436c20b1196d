// A launcher whose processes are objects.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/fakes/fake_actor.h"
#include "rein/v1/coordinator.grpc.pb.h"

namespace rein::coordinator::fakes {

// Thread-safe. Actors outlive a coordinator, as those of a supervisor do.
class FakeLauncher : public v1::Launcher::Service {
 public:
  FakeLauncher(std::string job_id, std::string token, std::filesystem::path address_file)
      : job_id_(std::move(job_id)), token_(std::move(token)), address_file_(std::move(address_file)) {}
  ~FakeLauncher() override;

  grpc::Status Start(grpc::ServerContext* context, const v1::StartActorRequest* request,
                     v1::StartActorResponse* response) override;
  grpc::Status Stop(grpc::ServerContext* context, const v1::StopActorRequest* request,
                    v1::StopActorResponse* response) override;
  grpc::Status List(grpc::ServerContext* context, const v1::ListActorsRequest* request,
                    v1::ListActorsResponse* response) override;

  // By place: "cost/cost/0". "Start" is a method of the script as well.
  Script& script(const std::string& key);
  // Ends the actor in this place as a crash does.
  void Kill(const std::string& key);
  // Places that are filled now.
  std::vector<std::string> running() const;
  // How often an actor was started in this place.
  int starts(const std::string& key) const;

 private:
  using ActorPtr = std::shared_ptr<FakeActor>;
  ActorPtr Find(const std::string& key) const;
  Script& ScriptOf(const std::string& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string job_id_;
  const std::string token_;
  const std::filesystem::path address_file_;
  WeightBoard weights_;
  mutable absl::Mutex mutex_;
  std::map<std::string, std::unique_ptr<Script>> scripts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, std::vector<ActorPtr>> actors_ ABSL_GUARDED_BY(mutex_);  // oldest first
  int64_t next_pid_ ABSL_GUARDED_BY(mutex_) = 1000;
};

}  // namespace rein::coordinator::fakes
