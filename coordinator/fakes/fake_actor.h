// An actor that lives in the test: registers, sends heartbeats, answers its role's calls, dies when told.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "coordinator/fakes/life.h"
#include "rein/v1/actor.pb.h"
#include "transport/server.h"

namespace rein::coordinator::fakes {

struct FakeActorOptions {
  v1::ActorAddress address;
  std::string job_id;
  std::string token;
  // RUN/coordinator.address
  std::filesystem::path address_file;
  uint64_t incarnation = 0;
  int64_t pid = 0;
};

// Thread-safe.
class FakeActor {
 public:
  // Serves when the constructor returns; throws where it cannot.
  FakeActor(FakeActorOptions options, Script* script, WeightBoard* weights);
  ~FakeActor();

  // Ends as SIGKILL does; returns when it is gone.
  void Kill();
  bool dead() const { return dead_; }
  int64_t pid() const { return options_.pid; }
  const v1::ActorAddress& address() const { return options_.address; }

 private:
  void Loop();
  // Registers and sends heartbeats until one fails or the actor dies.
  absl::Status KeepContact();
  v1::ActorStatus Status() const;
  void Die();
  // False when the actor dies meanwhile.
  bool Pause(absl::Duration duration);

  const FakeActorOptions options_;
  Life life_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::unique_ptr<transport::Server> server_;
  absl::Mutex mutex_;
  bool dying_ ABSL_GUARDED_BY(mutex_) = false;
  std::atomic<bool> dead_ = false;
  absl::Mutex join_mutex_;
  std::thread thread_;
};

}  // namespace rein::coordinator::fakes
