#include "coordinator/registry.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace rein::coordinator {

std::string KeyOf(const v1::ActorAddress& address) {
  return absl::StrCat(address.role(), "/", address.name(), "/", address.replica());
}

Registry::Registry(std::string job_id, const v1::Limits& limits, std::function<void()> changed)
    : job_id_(std::move(job_id)), limits_(limits), changed_(std::move(changed)) {}

void Registry::SetEpoch(uint64_t epoch) {
  absl::MutexLock lock(&mutex_);
  epoch_ = epoch;
}

uint64_t Registry::epoch() const {
  absl::MutexLock lock(&mutex_);
  return epoch_;
}

void Registry::Expect(const v1::ActorAddress& address) {
  absl::MutexLock lock(&mutex_);
  records_.try_emplace(KeyOf(address));
}

void Registry::Complete() {
  absl::MutexLock lock(&mutex_);
  complete_ = true;
}

void Registry::Forget(const v1::ActorAddress& address) {
  {
    absl::MutexLock lock(&mutex_);
    records_.erase(KeyOf(address));
    ++version_;
  }
  changed_();
}

absl::Status Registry::Register(const v1::RegisterRequest& request, absl::Time now) {
  if (request.job_id() != job_id_) {
    return absl::PermissionDeniedError(
        absl::StrCat("this coordinator runs job '", job_id_, "', not '", request.job_id(), "'"));
  }
  {
    absl::MutexLock lock(&mutex_);
    const std::string key = KeyOf(request.status().address());
    const auto found = records_.find(key);
    if (found == records_.end() && !complete_) {
      return absl::UnavailableError("the coordinator does not know all its actors yet; register again");
    }
    if (found == records_.end()) {
      const std::string places = absl::StrJoin(
          records_, ", ", [](std::string* out, const auto& record) { absl::StrAppend(out, record.first); });
      return absl::InvalidArgumentError(
          absl::StrCat("the job has no place for actor ", key, "; its actors are ", places));
    }
    found->second.status = request.status();
    found->second.status->set_incarnation(request.incarnation());
    found->second.last_heard = now;
    exited_.erase({key, request.status().pid()});
    ++version_;
  }
  changed_();
  return absl::OkStatus();
}

absl::Status Registry::Heartbeat(const v1::HeartbeatRequest& request, absl::Time now) {
  if (request.job_id() != job_id_) {
    return absl::PermissionDeniedError(absl::StrCat("this coordinator runs job '", job_id_, "'"));
  }
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(KeyOf(request.status().address()));
    if (request.coordinator_epoch() != epoch_ || found == records_.end() ||
        !found->second.status.has_value() ||
        found->second.status->incarnation() != request.status().incarnation()) {
      return absl::AbortedError(absl::StrCat("not registered in epoch ", epoch_, "; register again"));
    }
    found->second.status = request.status();
    found->second.last_heard = now;
  }
  changed_();
  return absl::OkStatus();
}

void Registry::SetConfigured(const v1::ActorAddress& address, uint64_t incarnation,
                             const v1::ModelInfo& model) {
  {
    absl::MutexLock lock(&mutex_);
    const auto found = records_.find(KeyOf(address));
    if (found == records_.end() || !found->second.status.has_value()) return;
    v1::ActorStatus& status = *found->second.status;
    if (status.incarnation() != incarnation) return;
    *status.mutable_model() = model;
    if (status.phase() != v1::BUSY) status.set_phase(v1::READY);
  }
  changed_();
}

void Registry::MarkExited(const v1::ActorAddress& address, int64_t pid) {
  {
    absl::MutexLock lock(&mutex_);
    if (!exited_.emplace(KeyOf(address), pid).second) return;
    ++version_;
  }
  changed_();
}

bool Registry::Exited(const v1::ActorAddress& address, int64_t pid) const {
  absl::MutexLock lock(&mutex_);
  return exited_.contains({KeyOf(address), pid});
}

bool Registry::Exited(const Record& record) const {
  return exited_.contains({KeyOf(record.status->address()), record.status->pid()});
}

std::optional<v1::ActorStatus> Registry::Find(const v1::ActorAddress& address, absl::Time now) const {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(KeyOf(address));
  if (found == records_.end() || !found->second.status.has_value()) return std::nullopt;
  if (Exited(found->second)) return std::nullopt;
  if (now - found->second.last_heard > absl::Seconds(limits_.dead_after_s())) return std::nullopt;
  return found->second.status;
}

std::string Registry::GoneBecause(const v1::ActorAddress& address, uint64_t incarnation,
                                  absl::Time now) const {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(KeyOf(address));
  if (found == records_.end() || !found->second.status.has_value()) return "it has not registered";
  const Record& record = found->second;
  if (record.status->incarnation() != incarnation) return "another incarnation has registered";
  if (Exited(record)) return "its process has ended";
  const absl::Duration silence = now - record.last_heard;
  if (silence > absl::Seconds(limits_.dead_after_s())) {
    return absl::StrCat("no heartbeat for ",
                        absl::FormatDuration(absl::Trunc(silence, absl::Milliseconds(100))));
  }
  return "";
}

std::vector<v1::ActorStatus> Registry::All(absl::Time now) const {
  std::vector<v1::ActorStatus> all;
  absl::MutexLock lock(&mutex_);
  for (const auto& [key, record] : records_) {
    if (!record.status.has_value()) continue;
    v1::ActorStatus& status = all.emplace_back(*record.status);
    const absl::Duration silence = now - record.last_heard;
    if (Exited(record) || silence > absl::Seconds(limits_.dead_after_s())) {
      status.set_phase(v1::DEAD);
    } else if (silence > absl::Seconds(limits_.suspect_after_s())) {
      status.set_phase(v1::SUSPECT);
    }
  }
  return all;
}

void Registry::Touch() {
  absl::MutexLock lock(&mutex_);
  ++version_;
}

uint64_t Registry::AwaitChange(uint64_t seen, absl::Duration timeout) const {
  absl::MutexLock lock(&mutex_);
  const auto changed = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return version_ != seen; };
  mutex_.AwaitWithTimeout(absl::Condition(&changed), timeout);
  return version_;
}

}  // namespace rein::coordinator
