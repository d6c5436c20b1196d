// Who has registered, and who is still heard of.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rein/v1/coordinator.pb.h"

namespace rein::coordinator {

// "cost/harm/0": role, name and replica.
std::string KeyOf(const v1::ActorAddress& address);

// Thread-safe. Time is passed in, so that tests decide what is late.
class Registry {
 public:
  // `changed` is called, outside the lock, whenever an actor registers or goes.
  Registry(std::string job_id, const v1::Limits& limits, std::function<void()> changed);

  // The epoch that actors are told; heartbeats of others are refused, so that those actors register again.
  void SetEpoch(uint64_t epoch);
  uint64_t epoch() const;

  // Only actors that are expected may register. Until all are known (Complete), others are asked to come
  // again: those that outlived a coordinator are faster than its successor reads its checkpoints.
  void Expect(const v1::ActorAddress& address);
  void Complete();
  void Forget(const v1::ActorAddress& address);

  // Errors: PERMISSION_DENIED (another job), INVALID_ARGUMENT (no place for this actor), UNAVAILABLE (not
  // expected yet).
  absl::Status Register(const v1::RegisterRequest& request, absl::Time now);
  // What Configure has told, without waiting for the next heartbeat.
  void SetConfigured(const v1::ActorAddress& address, uint64_t incarnation, const v1::ModelInfo& model);
  // Errors: PERMISSION_DENIED, ABORTED (not registered, or an old epoch: register again).
  absl::Status Heartbeat(const v1::HeartbeatRequest& request, absl::Time now);
  // The process of this actor with this id has ended; until an actor registers with it again.
  void MarkExited(const v1::ActorAddress& address, int64_t pid);
  bool Exited(const v1::ActorAddress& address, int64_t pid) const;

  // What is known of an actor. nullopt: never registered, or gone (exited, or silent for `dead_after`).
  std::optional<v1::ActorStatus> Find(const v1::ActorAddress& address, absl::Time now) const;
  // Why this incarnation is gone; empty while it lives.
  std::string GoneBecause(const v1::ActorAddress& address, uint64_t incarnation, absl::Time now) const;

  // All actors, also dead ones, with phases SUSPECT and DEAD for those that are silent.
  std::vector<v1::ActorStatus> All(absl::Time now) const;

  // Wakes every AwaitChange.
  void Touch();
  // Waits until something has changed since `seen` (a result of AwaitChange, 0 at first) or the time is over.
  uint64_t AwaitChange(uint64_t seen, absl::Duration timeout) const;

 private:
  struct Record {
    std::optional<v1::ActorStatus> status;  // of the last message
    absl::Time last_heard;
  };
  bool Exited(const Record& record) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const std::string job_id_;
  const v1::Limits limits_;
  const std::function<void()> changed_;
  mutable absl::Mutex mutex_;
  uint64_t epoch_ ABSL_GUARDED_BY(mutex_) = 0;
  bool complete_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, Record> records_ ABSL_GUARDED_BY(mutex_);  // expected actors by key
  std::set<std::pair<std::string, int64_t>> exited_ ABSL_GUARDED_BY(mutex_);
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 1;
};

}  // namespace rein::coordinator
