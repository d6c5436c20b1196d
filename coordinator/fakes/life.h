// What the services of one fake actor share.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/fakes/script.h"
#include "rein/v1/common.pb.h"
#include "rein/v1/trainable.pb.h"
#include "transport/fence.h"

namespace rein::coordinator::fakes {

// Stands for the weight group and the stream: what was published, by version. Thread-safe.
class WeightBoard {
 public:
  void Post(const v1::WeightVersion& version, uint64_t state);
  // The weights of that version once they have been published. Errors: CANCELLED (the caller went away).
  absl::StatusOr<uint64_t> Await(const v1::WeightVersion& version, const grpc::ServerContext* context) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::pair<uint64_t, int64_t>, uint64_t> posted_ ABSL_GUARDED_BY(mutex_);
};

// The model of a fake is one number: training mixes the batch into it, weights and fingerprints are made of
// it. So a wrong state anywhere shows in every number that follows.
class Life {
 public:
  Life(v1::ActorAddress address, std::string job_id, uint64_t incarnation, Script* script,
       WeightBoard* weights, std::function<void()> die)
      : address_(std::move(address)),
        script_(script),
        weights_(weights),
        die_(std::move(die)),
        fence_(std::move(job_id), incarnation) {}

  const v1::ActorAddress& address() const { return address_; }
  Script& script() { return *script_; }
  WeightBoard& weights() { return *weights_; }
  transport::FenceGuard& fence() { return fence_; }

  // The first line of every handler.
  absl::Status Enter(const std::string& method, const grpc::ServerContext* context, const v1::Fence& fence);
  // A moment within a call.
  absl::Status Pass(const std::string& moment, const grpc::ServerContext* context) {
    return script_->Enter(moment, context, die_);
  }

  void SetModelDigest(const std::string& digest);
  // What a scorer calls itself: as the script says, otherwise its model's digest.
  std::string digest() const;
  uint64_t state() const;
  v1::WeightVersion version() const;
  void SetState(uint64_t state, const v1::WeightVersion& version);
  // One step: mixes `batch` into the state. A repeated request_id returns the first answer. Errors:
  // FAILED_PRECONDITION (`version` is not the next).
  absl::StatusOr<v1::TrainResult> Train(const std::string& request_id, const v1::WeightVersion& version,
                                        uint64_t batch);

 private:
  const v1::ActorAddress address_;
  Script* const script_;
  WeightBoard* const weights_;
  const std::function<void()> die_;
  transport::FenceGuard fence_;
  mutable absl::Mutex mutex_;
  std::string model_digest_ ABSL_GUARDED_BY(mutex_);
  uint64_t state_ ABSL_GUARDED_BY(mutex_) = 0;
  v1::WeightVersion version_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, v1::TrainResult> results_ ABSL_GUARDED_BY(mutex_);
};

// In [-1, 1): a pure function of the text and the state.
float NumberOf(const std::string& text, uint64_t state);
uint64_t HashOf(const std::string& text);

}  // namespace rein::coordinator::fakes
