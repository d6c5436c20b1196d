#include "coordinator/fakes/script.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace rein::coordinator::fakes {
namespace {

// How often a held call looks whether its caller is still there.
constexpr absl::Duration kLookForCaller = absl::Milliseconds(10);

}  // namespace

void Script::Fail(const std::string& method, const absl::Status& status, int times) {
  absl::MutexLock lock(&mutex_);
  methods_[method].failure = status;
  methods_[method].failures = times;
}

void Script::Die(const std::string& method, int after) {
  absl::MutexLock lock(&mutex_);
  methods_[method].die_in = after + 1;
}

void Script::Hold(const std::string& method) {
  absl::MutexLock lock(&mutex_);
  methods_[method].held = true;
}

void Script::Release(const std::string& method) {
  absl::MutexLock lock(&mutex_);
  methods_[method].held = false;
}

void Script::Spoil(const std::string& sample_id, Spoilt how, int times) {
  absl::MutexLock lock(&mutex_);
  spoilt_[sample_id] = {how, times};
}

void Script::Refuse(const std::string& prompt_id) {
  absl::MutexLock lock(&mutex_);
  refused_.insert(prompt_id);
}

void Script::SetStrict(bool strict) {
  absl::MutexLock lock(&mutex_);
  strict_ = strict;
}

void Script::SetMute(bool mute) {
  absl::MutexLock lock(&mutex_);
  mute_ = mute;
}

void Script::SetDigest(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  digest_ = digest;
}

void Script::SetMaxBatch(int samples) {
  absl::MutexLock lock(&mutex_);
  max_batch_ = samples;
}

void Script::SpoilFingerprints(int times) {
  absl::MutexLock lock(&mutex_);
  wrong_fingerprints_ = times;
}

int Script::calls(const std::string& method) const {
  absl::MutexLock lock(&mutex_);
  const auto found = methods_.find(method);
  return found == methods_.end() ? 0 : found->second.calls;
}

bool Script::AwaitCalls(const std::string& method, int count) const {
  absl::MutexLock lock(&mutex_);
  const auto enough = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    const auto found = methods_.find(method);
    return found != methods_.end() && found->second.calls >= count;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&enough), kPatience);
}

std::map<std::string, int> Script::asked() const {
  std::map<std::string, int> asked;
  for (const auto& request : requests()) {
    for (const std::string& sample_id : request) ++asked[sample_id];
  }
  return asked;
}

std::vector<std::vector<std::string>> Script::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

std::vector<v1::WeightVersion> Script::trained() const {
  absl::MutexLock lock(&mutex_);
  return trained_;
}

std::vector<std::string> Script::loaded() const {
  absl::MutexLock lock(&mutex_);
  return loaded_;
}

absl::Status Script::Enter(const std::string& method, const grpc::ServerContext* context,
                           const std::function<void()>& die) {
  bool dies = false;
  {
    absl::MutexLock lock(&mutex_);
    Method& known = methods_[method];
    ++known.calls;
    dies = known.die_in > 0 && --known.die_in == 0;
  }
  if (dies) die();
  absl::MutexLock lock(&mutex_);
  Method& known = methods_[method];
  const auto free = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !dies && !known.held; };
  while (!mutex_.AwaitWithTimeout(absl::Condition(&free), kLookForCaller)) {
    if (context->IsCancelled()) return absl::CancelledError("the caller went away");
  }
  if (known.failures == 0) return absl::OkStatus();
  --known.failures;
  return known.failure;
}

void Script::NoteRequest(std::vector<std::string> sample_ids) {
  absl::MutexLock lock(&mutex_);
  requests_.push_back(std::move(sample_ids));
}

void Script::NoteTrained(const v1::WeightVersion& version) {
  absl::MutexLock lock(&mutex_);
  trained_.push_back(version);
}

void Script::NoteLoaded(const std::string& folder) {
  absl::MutexLock lock(&mutex_);
  loaded_.push_back(folder);
}

std::optional<Script::Spoilt> Script::TakeSpoilt(const std::string& sample_id) {
  absl::MutexLock lock(&mutex_);
  const auto found = spoilt_.find(sample_id);
  if (found == spoilt_.end() || found->second.times == 0) return std::nullopt;
  --found->second.times;
  return found->second.how;
}

bool Script::refused(const std::string& prompt_id) const {
  absl::MutexLock lock(&mutex_);
  return refused_.contains(prompt_id);
}

bool Script::strict() const {
  absl::MutexLock lock(&mutex_);
  return strict_;
}

bool Script::mute() const {
  absl::MutexLock lock(&mutex_);
  return mute_;
}

std::string Script::digest() const {
  absl::MutexLock lock(&mutex_);
  return digest_;
}

int Script::max_batch() const {
  absl::MutexLock lock(&mutex_);
  return max_batch_;
}

bool Script::TakeWrongFingerprint() {
  absl::MutexLock lock(&mutex_);
  if (wrong_fingerprints_ == 0) return false;
  --wrong_fingerprints_;
  return true;
}

}  // namespace rein::coordinator::fakes
