// What a running job leaves in its run folder for people: metrics, samples, pictures, evaluations,
// TensorBoard events, outcome.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/tensorboard.h"
#include "nlohmann/json.hpp"

namespace rein::coordinator {

// One thread. Errors of all: RESOURCE_EXHAUSTED (disk full), UNAVAILABLE.
class RunFiles {
 public:
  // Continues after `committed_step`: later lines of metrics.jsonl and samples.jsonl and later evaluations
  // are removed (files are rewritten atomically; a cut-off last line goes as well, and so does any other line
  // that is no JSON object with a step, with a warning).
  static absl::StatusOr<std::unique_ptr<RunFiles>> Open(const std::filesystem::path& run_dir,
                                                        int64_t committed_step);

  // Appends one line to metrics.jsonl and its numbers, flattened with slashes ("constraints/cost/lambda"), to
  // TensorBoard. Errors: INVALID_ARGUMENT (no integer "step").
  absl::Status AppendMetrics(const nlohmann::json& line);
  // Appends lines to samples.jsonl.
  absl::Status AppendSamples(const std::vector<nlohmann::json>& lines);
  // Writes pictures/DIGEST.png, .jpg or .webp once. A picture survives the end of the process, not
  // necessarily that of the machine. Errors: INVALID_ARGUMENT (not such a picture, or a digest that is not 64
  // hex digits).
  absl::Status KeepPicture(const std::string& digest, absl::string_view encoded);
  // Writes evaluations/step-N.json and its numbers, without those of single answers, to TensorBoard under
  // "evaluation/".
  absl::Status WriteEvaluation(int64_t step, const nlohmann::json& evaluation);
  bool HasEvaluation(int64_t step) const;
  // The lines so far, newest last, at most `count`: to choose the best checkpoint after a resume.
  absl::StatusOr<std::vector<nlohmann::json>> LastMetrics(size_t count) const;

 private:
  explicit RunFiles(std::filesystem::path run_dir) : run_dir_(std::move(run_dir)) {}
  std::filesystem::path run_dir_;
  std::unique_ptr<TensorBoardWriter> tensorboard_;
};

// RUN/outcome.json; also for a job that failed before it had any other file. state: "finished", "stopped" or
// "failed". Errors: as RunFiles.
absl::Status WriteOutcome(const std::filesystem::path& run_dir, const std::string& state, int64_t step,
                          const std::string& error);

}  // namespace rein::coordinator
