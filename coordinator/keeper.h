// Keeps one actor of the job alive: launched, registered, configured, watched, and brought back when lost.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/launcher_client.h"
#include "coordinator/registry.h"
#include "coordinator/status_board.h"
#include "coordinator/target.h"
#include "rein/v1/actor.pb.h"

namespace rein::coordinator {

// What all keepers of a job share; outlives them.
struct KeeperEnvironment {
  v1::Job job;
  std::string job_id;
  std::string token;
  std::string blobs_address;
  Registry* registry = nullptr;
  LauncherClient* launcher = nullptr;  // null: others start the actors (an engine, a test)
  StatusBoard* board = nullptr;
};

struct KeeperSpec {
  v1::ActorAddress address;
  std::string model;     // folder for Configure
  std::string external;  // address of a scorer that registers with nobody; then nothing is launched
};

// A thread of its own. 1. An actor that is not registered is started. 2. It registers and is configured:
// ready. 3. When it is lost (process ended, silent, reported by a caller) its process is ended and 1.
// follows.
// 4. Errors that a restart cannot cure (bad model), and more restarts than allowed, make it give up: failure.
class Keeper {
 public:
  struct Events {
    std::function<void()> changed;
    // An actor that was ready is no more. Called once per loss, before it is brought back.
    std::function<void(const std::string& why)> lost;
  };
  Keeper(const KeeperEnvironment* environment, KeeperSpec spec, Events events);
  // Ends the thread; the process goes on (EndProcess).
  ~Keeper();

  std::optional<Target> ready() const;
  // OK until it has given up.
  absl::Status failure() const;
  const KeeperSpec& spec() const { return spec_; }

  // The incarnation misbehaves or cannot be reached: end it and bring another.
  void ReportLost(uint64_t incarnation, const std::string& why);
  // A step was finished: restarts are counted anew.
  void Forgive();
  // Ends the actor's process for good. To be called after Retire.
  void EndProcess(absl::Duration grace);
  // Stops keeping: no more restarts.
  void Retire();

 private:
  void Loop();
  absl::StatusOr<Target> Bring();
  absl::StatusOr<v1::ActorStatus> AwaitRegistration();
  absl::StatusOr<Target> Configure(const v1::ActorStatus& status);
  absl::StatusOr<Target> ConnectExternal();
  absl::Status Describe(Target& target);
  std::string WatchUntilLost(const Target& target);
  // False when it has given up.
  bool MayTryAgain(const absl::Status& status);
  void SetTarget(std::optional<Target> target);
  bool retired() const;

  const KeeperEnvironment* const environment_;
  const KeeperSpec spec_;
  const Events events_;
  mutable absl::Mutex mutex_;
  std::optional<Target> target_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  int failures_ ABSL_GUARDED_BY(mutex_) = 0;
  bool retired_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<uint64_t> reported_ ABSL_GUARDED_BY(mutex_);  // incarnation
  std::string reported_why_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_lost_ = 0;  // the thread's own: an incarnation that must not come back
  std::thread thread_;
};

}  // namespace rein::coordinator
