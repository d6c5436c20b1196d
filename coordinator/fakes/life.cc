#include "coordinator/fakes/life.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::coordinator::fakes {
namespace {

constexpr absl::Duration kLookForCaller = absl::Milliseconds(10);

v1::Metric MakeMetric(const std::string& name, double value) {
  v1::Metric metric;
  metric.set_name(name);
  metric.set_value(value);
  return metric;
}

}  // namespace

uint64_t HashOf(const std::string& text) {
  return Mix64((static_cast<uint64_t>(Crc32c(text)) << 32) ^ Crc32c(text, 1) ^ text.size());
}

float NumberOf(const std::string& text, uint64_t state) {
  return static_cast<float>(2 * UniformFromBits(Mix64(HashOf(text) ^ state)) - 1);
}

void WeightBoard::Post(const v1::WeightVersion& version, uint64_t state) {
  absl::MutexLock lock(&mutex_);
  posted_[{version.coordinator_epoch(), version.number()}] = state;
}

absl::StatusOr<uint64_t> WeightBoard::Await(const v1::WeightVersion& version,
                                            const grpc::ServerContext* context) const {
  const std::pair<uint64_t, int64_t> key{version.coordinator_epoch(), version.number()};
  absl::MutexLock lock(&mutex_);
  const auto posted = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return posted_.contains(key); };
  while (!mutex_.AwaitWithTimeout(absl::Condition(&posted), kLookForCaller)) {
    if (context->IsCancelled()) return absl::CancelledError("the caller went away");
  }
  return posted_.at(key);
}

absl::Status Life::Enter(const std::string& method, const grpc::ServerContext* context,
                         const v1::Fence& fence) {
  REIN_RETURN_IF_ERROR(Pass(method, context));
  return fence_.Check(fence);
}

void Life::SetModelDigest(const std::string& digest) {
  absl::MutexLock lock(&mutex_);
  model_digest_ = digest;
}

std::string Life::digest() const {
  const std::string told = script_->digest();
  if (!told.empty()) return told;
  absl::MutexLock lock(&mutex_);
  return model_digest_;
}

uint64_t Life::state() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

v1::WeightVersion Life::version() const {
  absl::MutexLock lock(&mutex_);
  return version_;
}

void Life::SetState(uint64_t state, const v1::WeightVersion& version) {
  absl::MutexLock lock(&mutex_);
  state_ = state;
  version_ = version;
}

absl::StatusOr<v1::TrainResult> Life::Train(const std::string& request_id, const v1::WeightVersion& version,
                                            uint64_t batch) {
  absl::MutexLock lock(&mutex_);
  const auto known = results_.find(request_id);
  if (known != results_.end()) return known->second;
  if (version.coordinator_epoch() != version_.coordinator_epoch() ||
      version.number() != version_.number() + 1) {
    return absl::FailedPreconditionError(absl::StrCat("version ", version.coordinator_epoch(), ".",
                                                      version.number(), " does not follow ",
                                                      version_.coordinator_epoch(), ".", version_.number()));
  }
  state_ = Mix64(state_ ^ batch);
  version_ = version;
  script_->NoteTrained(version);
  v1::TrainResult result;
  *result.mutable_version() = version;
  *result.add_metrics() = MakeMetric("loss", NumberOf("loss", state_));
  *result.add_metrics() = MakeMetric("logprob_gap_mean", 0.001);
  *result.add_metrics() = MakeMetric("logprob_gap_max", 0.01);
  results_[request_id] = result;
  return result;
}

}  // namespace rein::coordinator::fakes
