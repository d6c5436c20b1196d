#include "coordinator/fleet.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"
#include "transport/job_file.h"

namespace rein::coordinator {
namespace {

// How often the launcher is asked who has ended.
constexpr absl::Duration kListInterval = absl::Milliseconds(250);
// A caller that failed looks again after this, although nobody has noticed a loss.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);
constexpr absl::Duration kReplacedGrace = absl::Seconds(5);
// Failed calls to one incarnation before it counts as lost. A process that has died is noticed long before.
constexpr int kMostFailures = 25;

bool Trains(const std::string& role) { return role == "policy" || role == "critic"; }

}  // namespace

nlohmann::json ToJson(const std::vector<ScorerChoice>& choices) {
  nlohmann::json json = nlohmann::json::array();
  for (const ScorerChoice& choice : choices) {
    json.push_back({{"role", choice.role},
                    {"name", choice.name},
                    {"model", choice.model},
                    {"address", choice.address},
                    {"generation", choice.generation}});
  }
  return json;
}

absl::StatusOr<std::vector<ScorerChoice>> ChoicesFromJson(const nlohmann::json& json) {
  if (!json.is_array()) return absl::InvalidArgumentError("scorers: expected a list");
  std::vector<ScorerChoice> choices;
  for (const auto& entry : json) {
    if (!entry.is_object()) return absl::InvalidArgumentError("scorers: expected objects");
    for (const char* key : {"role", "name", "model", "address"}) {
      if (!entry.contains(key) || !entry[key].is_string()) {
        return absl::InvalidArgumentError(absl::StrCat("scorers: expected a text as ", key));
      }
    }
    if (!entry.contains("generation") || !entry["generation"].is_number_integer()) {
      return absl::InvalidArgumentError("scorers: expected an integer as generation");
    }
    choices.push_back({.role = entry["role"],
                       .name = entry["name"],
                       .model = entry["model"],
                       .address = entry["address"],
                       .generation = entry["generation"]});
  }
  return choices;
}

std::vector<ScorerChoice> ChoicesOf(const v1::Job& job) {
  std::vector<ScorerChoice> choices;
  for (const v1::ActorSpec& actor : job.actors()) {
    if (actor.role() != "reward" && actor.role() != "cost") continue;
    choices.push_back(
        {.role = actor.role(), .name = actor.name(), .model = actor.model(), .address = actor.address()});
  }
  return choices;
}

Fleet::Fleet(KeeperEnvironment environment) : environment_(std::move(environment)) {}

Fleet::~Fleet() {
  std::map<Slot, KeeperPtr> keepers, candidates;
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
    keepers.swap(keepers_);
    candidates.swap(candidates_);
  }
  for (const auto& [slot, keeper] : keepers) keeper->Retire();
  for (const auto& [slot, keeper] : candidates) keeper->Retire();
  if (monitor_.joinable()) monitor_.join();
}

int Fleet::ReplicasOf(const std::string& role, const std::string& name) const {
  const v1::ActorSpec* spec = transport::FindActor(environment_.job, role, name);
  return spec == nullptr ? 1 : spec->replicas();
}

Fleet::KeeperPtr Fleet::MakeKeeper(const Slot& slot, const ScorerChoice* choice) {
  const v1::ActorSpec* spec = transport::FindActor(environment_.job, slot.role, slot.name);
  KeeperSpec keeper;
  keeper.address.set_role(slot.role);
  keeper.address.set_name(slot.name);
  const int generation = choice == nullptr ? 0 : choice->generation;
  keeper.address.set_replica(generation * spec->replicas() + slot.index);
  keeper.address.set_world(1);
  keeper.model = choice == nullptr ? spec->model() : choice->model;
  if (choice != nullptr) keeper.external = choice->address;
  environment_.registry->Expect(keeper.address);
  return std::make_unique<Keeper>(
      &environment_, std::move(keeper),
      Keeper::Events{.changed = [this] { Touch(); },
                     .lost = [this, slot](const std::string& why) { OnLost(slot, why); }});
}

void Fleet::Add(const Slot& slot, const ScorerChoice* choice) {
  KeeperPtr keeper = MakeKeeper(slot, choice);
  absl::MutexLock lock(&mutex_);
  keepers_[slot] = std::move(keeper);
}

void Fleet::Start(const std::vector<ScorerChoice>& scorers) {
  {
    absl::MutexLock lock(&mutex_);
    scorers_ = scorers;
  }
  for (const v1::ActorSpec& actor : environment_.job.actors()) {
    const auto choice = std::find_if(scorers.begin(), scorers.end(), [&](const ScorerChoice& one) {
      return one.role == actor.role() && one.name == actor.name();
    });
    // An external scorer is one address: its service spreads the load itself.
    const bool external = choice != scorers.end() && !choice->address.empty();
    for (int i = 0; i < (external ? 1 : actor.replicas()); ++i) {
      Add({actor.role(), actor.name(), i}, choice == scorers.end() ? nullptr : &*choice);
    }
  }
  environment_.registry->Complete();
  if (environment_.launcher == nullptr) return;
  EndOrphans();
  monitor_ = std::thread([this] { Monitor(); });
}

// A coordinator that was killed during a swap leaves candidates behind.
void Fleet::EndOrphans() {
  const auto launched = environment_.launcher->List();
  if (!launched.ok()) return;
  std::set<std::string> expected;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [slot, keeper] : keepers_) expected.insert(KeyOf(keeper->spec().address));
  }
  for (const v1::LaunchedActor& actor : *launched) {
    if (!actor.running() || expected.contains(KeyOf(actor.address()))) continue;
    LogInfo(absl::StrCat(KeyOf(actor.address()), " has no place in the job; it is ended"));
    const absl::Status status = environment_.launcher->Stop(actor.address(), kReplacedGrace);
    if (!status.ok()) LogWarning(status.message());
  }
}

void Fleet::Monitor() {
  const auto stopped = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stop_; };
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopped), kListInterval)) return;
    }
    const auto launched = environment_.launcher->List();
    if (!launched.ok()) {
      LogWarning(absl::StrCat("launcher: ", launched.status().message()));
      continue;
    }
    for (const v1::LaunchedActor& actor : *launched) {
      if (!actor.running()) environment_.registry->MarkExited(actor.address(), actor.pid());
    }
  }
}

void Fleet::Touch() {
  absl::MutexLock lock(&mutex_);
  ++version_;
  for (const auto& [slot, keeper] : keepers_) {
    if (failure_.ok()) failure_ = keeper->failure();
  }
  environment_.board->Touch();
}

void Fleet::OnLost(const Slot& slot, const std::string& why) {
  absl::MutexLock lock(&mutex_);
  ++version_;
  ++restarts_;
  if (Trains(slot.role) && trainable_lost_.empty()) trainable_lost_ = absl::StrCat(ToString(slot), ": ", why);
}

absl::Status Fleet::InterruptionLocked() const {
  if (!failure_.ok()) return failure_;
  if (trainable_lost_.empty()) return absl::OkStatus();
  return absl::AbortedError(absl::StrCat(trainable_lost_, "; the job goes back to the last commit"));
}

absl::Status Fleet::Interruption() const {
  absl::MutexLock lock(&mutex_);
  return InterruptionLocked();
}

void Fleet::Fail(const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  if (failure_.ok()) failure_ = status;
  ++version_;
}

void Fleet::ForgetTrainableLost() {
  absl::MutexLock lock(&mutex_);
  trainable_lost_.clear();
}

void Fleet::Forgive() {
  absl::MutexLock lock(&mutex_);
  for (const auto& [slot, keeper] : keepers_) keeper->Forgive();
}

int Fleet::restarts() const {
  absl::MutexLock lock(&mutex_);
  return restarts_;
}

absl::StatusOr<Target> Fleet::AwaitReady(const Slot& slot) {
  std::optional<StatusBoard::NamedWait> wait;
  absl::MutexLock lock(&mutex_);
  while (true) {
    REIN_RETURN_IF_ERROR(InterruptionLocked());
    const auto found = keepers_.find(slot);
    if (found == keepers_.end()) return absl::NotFoundError(absl::StrCat("no actor ", ToString(slot)));
    std::optional<Target> target = found->second->ready();
    if (target.has_value()) return *std::move(target);
    if (!wait.has_value()) {
      const absl::Duration longest = absl::Seconds(environment_.job.limits().start_timeout_s());
      wait.emplace(
          environment_.board->Wait(absl::StrCat(ToString(slot), ": to be ready"), absl::Now() + longest));
    }
    const uint64_t seen = version_;
    const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return version_ != seen; };
    mutex_.Await(absl::Condition(&changed));
  }
}

absl::Status Fleet::AwaitAllReady() {
  std::vector<Slot> slots;
  {
    absl::MutexLock lock(&mutex_);
    for (const auto& [slot, keeper] : keepers_) slots.push_back(slot);
  }
  for (const Slot& slot : slots) REIN_RETURN_IF_ERROR(AwaitReady(slot).status());
  return absl::OkStatus();
}

absl::Status Fleet::AwaitAfterFailure(const Slot& slot, const Target& target) {
  {
    absl::MutexLock lock(&mutex_);
    const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
      if (!InterruptionLocked().ok()) return true;
      const auto found = keepers_.find(slot);
      if (found == keepers_.end()) return true;
      const std::optional<Target> now = found->second->ready();
      return !now.has_value() || now->incarnation != target.incarnation;
    };
    mutex_.AwaitWithTimeout(absl::Condition(&changed), kLookAgain);
  }
  return AwaitReady(slot).status();
}

std::vector<std::pair<Slot, Target>> Fleet::Ready(const std::string& role) const {
  std::vector<std::pair<Slot, Target>> ready;
  absl::MutexLock lock(&mutex_);
  for (const auto& [slot, keeper] : keepers_) {
    if (slot.role != role) continue;
    std::optional<Target> target = keeper->ready();
    if (target.has_value()) ready.emplace_back(slot, *std::move(target));
  }
  return ready;
}

std::vector<Slot> Fleet::Slots(const std::string& role, const std::string& name) const {
  std::vector<Slot> slots;
  absl::MutexLock lock(&mutex_);
  for (const auto& [slot, keeper] : keepers_) {
    if (slot.role == role && (name.empty() || slot.name == name)) slots.push_back(slot);
  }
  return slots;
}

void Fleet::ReportLost(const Slot& slot, const Target& target, const std::string& why) {
  absl::MutexLock lock(&mutex_);
  const auto found = keepers_.find(slot);
  if (found != keepers_.end()) found->second->ReportLost(target.incarnation, why);
}

v1::Fence Fleet::MakeFence(const Target& target, int64_t step, const std::string& request_id) const {
  v1::Fence fence;
  fence.set_job_id(environment_.job_id);
  fence.set_coordinator_epoch(environment_.registry->epoch());
  fence.set_actor_incarnation(target.incarnation);
  fence.set_step(step);
  fence.set_request_id(request_id);
  return fence;
}

void Fleet::AddCandidates(const ScorerChoice& choice) {
  const int replicas = choice.address.empty() ? ReplicasOf(choice.role, choice.name) : 1;
  for (int i = 0; i < replicas; ++i) {
    const Slot slot{choice.role, choice.name, i};
    KeeperPtr keeper = MakeKeeper(slot, &choice);
    absl::MutexLock lock(&mutex_);
    candidates_[slot] = std::move(keeper);
  }
}

absl::StatusOr<std::vector<Target>> Fleet::AwaitCandidates(absl::Time deadline,
                                                           const std::function<bool()>& gone) {
  absl::MutexLock lock(&mutex_);
  while (true) {
    std::vector<Target> targets;
    for (const auto& [slot, keeper] : candidates_) {
      REIN_RETURN_IF_ERROR(keeper->failure());
      std::optional<Target> target = keeper->ready();
      if (target.has_value()) targets.push_back(*std::move(target));
    }
    if (targets.size() == candidates_.size()) return targets;
    if (gone()) return absl::CancelledError("whoever asked for the swap went away");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError("the new scorer was not ready in time (limits.start_timeout_s)");
    }
    const uint64_t seen = version_;
    const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return version_ != seen; };
    mutex_.AwaitWithTimeout(absl::Condition(&changed), std::min(kLookAgain, deadline - absl::Now()));
  }
}

void Fleet::AcceptCandidates(const ScorerChoice& choice) {
  std::vector<KeeperPtr> old;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = keepers_.begin(); it != keepers_.end();) {
      const bool replaced = it->first.role == choice.role && it->first.name == choice.name;
      if (replaced) old.push_back(std::move(it->second));
      it = replaced ? keepers_.erase(it) : std::next(it);
    }
    for (auto& [slot, keeper] : candidates_) keepers_[slot] = std::move(keeper);
    candidates_.clear();
    std::erase_if(scorers_, [&](const ScorerChoice& one) {
      return one.role == choice.role && one.name == choice.name;
    });
    scorers_.push_back(choice);
    ++version_;
  }
  Retire(std::move(old), kReplacedGrace);
}

void Fleet::DropCandidates() {
  std::vector<KeeperPtr> dropped;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [slot, keeper] : candidates_) dropped.push_back(std::move(keeper));
    candidates_.clear();
  }
  Retire(std::move(dropped), absl::ZeroDuration());
}

void Fleet::Retire(std::vector<KeeperPtr> keepers, absl::Duration grace) {
  // First, so that nobody takes the end for a loss.
  for (const KeeperPtr& keeper : keepers) keeper->Retire();
  for (const KeeperPtr& keeper : keepers) environment_.registry->Forget(keeper->spec().address);
  for (const KeeperPtr& keeper : keepers) keeper->EndProcess(grace);
}

std::vector<ScorerChoice> Fleet::scorers() const {
  absl::MutexLock lock(&mutex_);
  return scorers_;
}

absl::Status CallFailures::Handle(Fleet& fleet, const Slot& slot, const Target& target,
                                  const absl::Status& why) {
  in_a_row_ = target.incarnation == incarnation_ ? in_a_row_ + 1 : 1;
  incarnation_ = target.incarnation;
  if (in_a_row_ >= kMostFailures) {
    fleet.ReportLost(slot, target, absl::StrCat(in_a_row_, " calls in a row have failed: ", why.message()));
  }
  return fleet.AwaitAfterFailure(slot, target);
}

}  // namespace rein::coordinator
