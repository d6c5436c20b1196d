// All actors of a job: who fills each slot now, and whether the step that runs can still be finished.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/keeper.h"
#include "coordinator/launcher_client.h"
#include "coordinator/registry.h"
#include "coordinator/status_board.h"
#include "coordinator/target.h"
#include "nlohmann/json.hpp"
#include "rein/v1/job.pb.h"

namespace rein::coordinator {

// Who scores: differs from the job file once a scorer has been swapped.
struct ScorerChoice {
  std::string role;
  std::string name;
  std::string model;    // folder
  std::string address;  // external scorer, instead of a model
  // Grows with every swap: keeps the processes of old and new apart.
  int generation = 0;
};
nlohmann::json ToJson(const std::vector<ScorerChoice>& choices);
// Errors: INVALID_ARGUMENT (not what ToJson gave).
absl::StatusOr<std::vector<ScorerChoice>> ChoicesFromJson(const nlohmann::json& json);
// What the job file says.
std::vector<ScorerChoice> ChoicesOf(const v1::Job& job);

// Thread-safe.
class Fleet {
 public:
  // `launcher` may be null. All pointers outlive the fleet.
  explicit Fleet(KeeperEnvironment environment);
  // Keepers end; processes are left to whoever launched them.
  ~Fleet();

  // Starts keeping all actors of the job, with these scorers. Processes of the launcher that have no place
  // here are ended.
  void Start(const std::vector<ScorerChoice>& scorers);

  // Waits until somebody fills the slot. Errors: those of Interruption.
  absl::StatusOr<Target> AwaitReady(const Slot& slot);
  absl::Status AwaitAllReady();
  // After a call to `target` has failed: waits until its slot is filled by another incarnation, or for a
  // moment where it still stands. Errors: those of Interruption.
  absl::Status AwaitAfterFailure(const Slot& slot, const Target& target);
  // Those of a role that are ready now.
  std::vector<std::pair<Slot, Target>> Ready(const std::string& role) const;
  // All slots of a role, and of one name where it is given.
  std::vector<Slot> Slots(const std::string& role, const std::string& name = "") const;

  // That incarnation misbehaves: it is ended and replaced.
  void ReportLost(const Slot& slot, const Target& target, const std::string& why);

  // OK while the step can go on. ABORTED: an actor that holds trainable state was lost, the job must go back
  // to the last commit. Anything else: the job has failed (an actor cannot be brought back; names it).
  absl::Status Interruption() const;
  void Fail(const absl::Status& status);
  // Before going back: losses so far are dealt with.
  void ForgetTrainableLost();
  // A step is finished: restarts are counted anew.
  void Forgive();
  int restarts() const;

  v1::Fence MakeFence(const Target& target, int64_t step, const std::string& request_id) const;

  // Swap. 1. AddCandidates starts the new scorer beside the old one. 2. AwaitCandidates. 3. AcceptCandidates
  // at a step boundary, or DropCandidates. Failures of candidates never interrupt the job.
  void AddCandidates(const ScorerChoice& choice);
  // Errors: DEADLINE_EXCEEDED, CANCELLED (`gone`), why a candidate has given up.
  absl::StatusOr<std::vector<Target>> AwaitCandidates(absl::Time deadline, const std::function<bool()>& gone);
  void AcceptCandidates(const ScorerChoice& choice);
  void DropCandidates();
  std::vector<ScorerChoice> scorers() const;

 private:
  using KeeperPtr = std::unique_ptr<Keeper>;
  KeeperPtr MakeKeeper(const Slot& slot, const ScorerChoice* choice);
  void Add(const Slot& slot, const ScorerChoice* choice);
  void EndOrphans();
  void Monitor();
  void Touch();
  void OnLost(const Slot& slot, const std::string& why);
  absl::Status InterruptionLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  int ReplicasOf(const std::string& role, const std::string& name) const;
  void Retire(std::vector<KeeperPtr> keepers, absl::Duration grace);

  KeeperEnvironment environment_;
  mutable absl::Mutex mutex_;
  std::map<Slot, KeeperPtr> keepers_ ABSL_GUARDED_BY(mutex_);
  std::map<Slot, KeeperPtr> candidates_ ABSL_GUARDED_BY(mutex_);
  std::vector<ScorerChoice> scorers_ ABSL_GUARDED_BY(mutex_);
  absl::Status failure_ ABSL_GUARDED_BY(mutex_);
  std::string trainable_lost_ ABSL_GUARDED_BY(mutex_);
  int restarts_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t version_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread monitor_;
};

// What a caller does after a call to a slot has failed for a reason that may pass.
class CallFailures {
 public:
  // Waits as Fleet::AwaitAfterFailure; an incarnation that has failed too often in a row is reported as lost,
  // so that no caller tries for ever. Errors: those of Fleet::Interruption.
  absl::Status Handle(Fleet& fleet, const Slot& slot, const Target& target, const absl::Status& why);

 private:
  uint64_t incarnation_ = 0;
  int in_a_row_ = 0;
};

}  // namespace rein::coordinator
