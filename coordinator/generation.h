// Samples of a step (or of an evaluation) from the rollout replicas, as they finish.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "coordinator/fleet.h"
#include "coordinator/status_board.h"
#include "coordinator/weight_publisher.h"
#include "rein/v1/job.pb.h"
#include "rein/v1/rollout.pb.h"

namespace rein::coordinator {

struct GenerationWork {
  std::vector<v1::PromptSpec> prompts;
  v1::SamplingOptions sampling;
  int64_t step = 0;
};

// Called from several threads, more than once for one sample where a replica was restarted.
struct GenerationEvents {
  std::function<void(v1::Sample)> sample;
  std::function<void(const v1::PromptRefusal&)> refusal;
  // Samples that have not come yet, of those of a prompt.
  std::function<std::vector<int32_t>(const v1::PromptSpec&)> missing;
};

class Generation {
 public:
  // All pointers outlive the object.
  Generation(const v1::Job& job, Fleet* fleet, StatusBoard* board, WeightPublisher* weights)
      : job_(job), fleet_(fleet), board_(board), weights_(weights) {}

  // Deals the prompts out to the replicas, evenly and by position, and returns when all have been answered
  // with the published weights. A replica that is lost replays its list when it is back: the whole list where
  // the job is deterministic (what is decoded together must not change), otherwise what is missing.
  // Errors: those of Fleet::Interruption; DATA_LOSS (the weights generate rubbish); INVALID_ARGUMENT.
  absl::Status Run(const GenerationWork& work, const GenerationEvents& events);

 private:
  absl::Status RunReplica(const Slot& slot, const GenerationWork& work, const GenerationEvents& events);
  std::vector<v1::PromptSpec> Left(const std::vector<v1::PromptSpec>& prompts, const GenerationEvents& events,
                                   bool whole) const;
  absl::Status Call(const Slot& slot, const Target& target, const GenerationWork& work,
                    const std::vector<v1::PromptSpec>& prompts, const GenerationEvents& events);

  const v1::Job job_;
  Fleet* const fleet_;
  StatusBoard* const board_;
  WeightPublisher* const weights_;
};

}  // namespace rein::coordinator
