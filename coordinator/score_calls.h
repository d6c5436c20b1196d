// One call to a stateless service: Scorer.Score, Reference.LogProbs, Critic.Values, Guard.Moderate.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/scoring.h"
#include "coordinator/target.h"
#include "rein/v1/common.pb.h"

namespace rein::coordinator {

struct ScoreCall {
  const Target* target;
  v1::Fence fence;
  std::vector<const v1::Sample*> samples;
  absl::Duration timeout;
  int64_t max_message_bytes = 4 << 20;
  PictureFn pictures;
};

struct Answers {
  // One a sample, in their order: a score (size 1; of the guard: the guard::Severity of the answer) or a
  // number per response token. A value that is missing, not finite or of a wrong length is an error that says
  // so.
  std::vector<absl::StatusOr<std::vector<float>>> values;
  std::string digest;
};

// Splits requests that are larger than a message may be. Errors: those of the call (nothing was answered).
absl::StatusOr<Answers> CallActor(Column::Kind kind, const ScoreCall& call);

}  // namespace rein::coordinator
