// Scores of whole answers by a reward or cost model.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/offline/model_folder.h"

namespace rein::cli {

// A question with its pictures, and an answer as text.
struct Answered {
  std::string question;
  std::vector<models::ProcessedImage> images;  // as the scorer's processor makes them
  std::string answer;
  bool stopped = true;  // false: cut at the length limit, so that no end token follows
};

// One scalar each, in their order. Errors: FAILED_PRECONDITION (no score head), INVALID_ARGUMENT (too long),
// DATA_LOSS (not finite).
absl::StatusOr<std::vector<float>> ScoreAnswers(const ModelFolder& scorer,
                                                const std::vector<Answered>& answers);

}  // namespace rein::cli
