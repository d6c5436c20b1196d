// A batch of prompts from the first token to the last score.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "coordinator/fleet.h"
#include "coordinator/generation.h"
#include "coordinator/sample_columns.h"
#include "coordinator/scoring.h"
#include "coordinator/status_board.h"
#include "coordinator/weight_publisher.h"
#include "rein/v1/job.pb.h"

namespace rein::coordinator {

struct BatchRequest {
  std::vector<v1::PromptSpec> prompts;
  v1::SamplingOptions sampling;
  int64_t step = 0;
  std::vector<Column> columns;
  bool drop_overlong = false;
};

struct Batch {
  ClosedTable table;
  double generate_seconds = 0;
  double score_seconds = 0;  // after generation had ended
  int64_t response_tokens = 0;
};

// What a batch needs of the job; all pointers outlive its use.
struct BatchTools {
  v1::Job job;
  Fleet* fleet;
  StatusBoard* board;
  WeightPublisher* weights;
  PictureFn pictures;
};

// Generates and scores side by side; returns when every sample is complete or dropped. `generated` is called
// in between. Errors: those of Generation::Run and Scoring::Finish.
absl::StatusOr<Batch> RunBatch(const BatchTools& tools, const BatchRequest& request,
                               const std::function<void(const StepTable&)>& generated);

}  // namespace rein::coordinator
