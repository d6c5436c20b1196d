// What may change when an interrupted run goes on.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "rein/v1/job.pb.h"

namespace rein::cli {

// Dotted paths of the fields in which the jobs differ, with both values: "algorithm.gamma: 1 -> 0.9".
std::vector<std::string> ChangedFields(const v1::Job& before, const v1::Job& after);

// The job of the run folder, with what `asked` may change: steps, limits, evaluation and checkpoint, which do
// not touch what the steps so far have computed. Errors: INVALID_ARGUMENT (names the other fields that
// differ).
absl::StatusOr<v1::Job> ResumedJob(const v1::Job& stored, const v1::Job& asked);

}  // namespace rein::cli
