// Calls to those who hold trainable state: train, save, load. Policy and critics work at the same time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "coordinator/experience.h"
#include "coordinator/fleet.h"
#include "coordinator/status_board.h"
#include "rein/v1/job.pb.h"
#include "rein/v1/trainable.pb.h"

namespace rein::coordinator {

struct TrainOutcome {
  std::map<std::string, double> policy;
  std::map<std::string, std::map<std::string, double>> critics;  // by name
};

class TrainingCalls {
 public:
  // All pointers outlive the object.
  TrainingCalls(const v1::Job& job, Fleet* fleet, StatusBoard* board)
      : job_(job), fleet_(fleet), board_(board) {}

  // One optimizer step of policy and critics, which leads to `version`. A broken connection attaches to the
  // step that runs; it is never trained twice. Errors: ABORTED (one of them was lost: go back to the last
  // commit), DATA_LOSS (not finite: names samples), DEADLINE_EXCEEDED (no progress: names the actor).
  absl::StatusOr<TrainOutcome> Train(absl::Span<const ScoredRow> rows, const Experience& experience,
                                     const v1::WeightVersion& version);

  // Everyone writes below `folder`. Errors: as Train, RESOURCE_EXHAUSTED (disk full).
  absl::StatusOr<std::vector<v1::SavedFile>> Save(const std::filesystem::path& folder, int64_t step);

  // Everyone takes the state of `folder` (empty: the start), as `version`. Errors: as Train; DATA_LOSS,
  // INVALID_ARGUMENT (the state does not fit: names the actor and the file).
  absl::Status Load(const std::filesystem::path& folder, absl::Span<const v1::SavedFile> files,
                    const v1::WeightVersion& version);

 private:
  v1::Job job_;
  Fleet* fleet_;
  StatusBoard* board_;
};

}  // namespace rein::coordinator
