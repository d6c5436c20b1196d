// Training steps by request id: each runs once, whoever asks how often.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "actors/host/host.h"
#include "rein/v1/trainable.pb.h"
#include "training/rl_trainer.h"

namespace rein::host {

// Thread-safe. A step goes on when its caller goes away; a caller with the same id attaches to it or gets its
// result. A failed step left the weights as they were, so it is forgotten and may be tried again.
class TrainSteps {
 public:
  using StepFn = std::function<absl::StatusOr<training::Metrics>(const training::ProgressFn&)>;
  // Returns false when the caller is gone.
  using WriteFn = std::function<bool(const v1::TrainProgress&)>;

  explicit TrainSteps(Host* host) : host_(host) {}

  // Runs `step` on the executor unless a step with the header's request id runs or has run; writes progress
  // at least once a second and the result last. Errors: those of `step` and of Host::Post, CANCELLED (the
  // caller is gone).
  absl::Status Run(const v1::TrainHeader& header, StepFn step, const WriteFn& write);

  // After the weights were replaced: results of steps before that are forgotten.
  void Clear();

 private:
  struct Ticket {
    absl::Mutex mutex;
    int done ABSL_GUARDED_BY(mutex) = 0;
    int total ABSL_GUARDED_BY(mutex) = 0;
    bool finished ABSL_GUARDED_BY(mutex) = false;
    absl::Status status ABSL_GUARDED_BY(mutex);
    v1::TrainResult result ABSL_GUARDED_BY(mutex);
  };
  using TicketPtr = std::shared_ptr<Ticket>;

  absl::StatusOr<TicketPtr> Find(const v1::TrainHeader& header, StepFn step);
  absl::Status Work(const v1::TrainHeader& header, const StepFn& step, const TicketPtr& ticket);
  void Forget(const std::string& request_id);
  static absl::Status Follow(Ticket& ticket, const WriteFn& write);

  Host* const host_;
  absl::Mutex mutex_;
  std::map<std::string, TicketPtr> tickets_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> order_ ABSL_GUARDED_BY(mutex_);
};

// Reads the header, then exactly header.samples() samples, from `reader` (a gRPC reader of Message, a oneof
// of header and sample); `take(Sample&&)` gets each one. Errors: INVALID_ARGUMENT (no header first, another
// number of samples).
template <typename Message, typename Reader, typename Take>
absl::Status ReadTrainStream(Reader* reader, v1::TrainHeader* header, const Take& take) {
  Message message;
  if (!reader->Read(&message) || !message.has_header()) {
    return absl::InvalidArgumentError("the first message of Train is the header");
  }
  *header = message.header();
  int samples = 0;
  while (reader->Read(&message)) {
    if (!message.has_sample() || ++samples > header->samples()) {
      return absl::InvalidArgumentError(
          absl::StrCat("after the header Train takes exactly its ", header->samples(), " samples"));
    }
    take(std::move(*message.mutable_sample()));
  }
  if (samples == header->samples()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the header announces ", header->samples(), " samples, ",
                                                 samples, " came; send the batch again"));
}

}  // namespace rein::host
