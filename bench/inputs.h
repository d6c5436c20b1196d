// Inputs of the benchmarks. The peers in bench/peers make the same numbers from the same formulas, so that
// results can be compared before anything is timed.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "models/processor.h"
#include "models/vision_language_model.h"

namespace rein::bench {

// In [-0.5, 0.5), a pure function of its arguments: exact in every language.
inline double Pattern(int64_t i, int64_t j) {
  return static_cast<double>((i * 131 + j * 71) % 1009) / 1009 - 0.5;
}

// float32 [rows, columns] of scale * Pattern(row, column).
at::Tensor PatternMatrix(int64_t rows, int64_t columns, double scale);

// A folder of its own below the system's temporary folder, empty, removed at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The model that scenes are learnt with, about half a million parameters, random weights, and its processor.
// Written to `folder`, which must be empty, as transformers loads it. Ends the process with a message if that
// fails: a benchmark has nobody to report to.
struct ScenesModel {
  std::unique_ptr<models::VisionLanguageModel> model;
  std::unique_ptr<models::Processor> processor;
};
ScenesModel WriteScenesModel(const std::filesystem::path& folder);

// A picture of a scene, PNG of size x size.
std::string ScenePng(int size);

// Ends the process with the status where it is not OK.
void Require(const absl::Status& status);
template <typename T>
T Require(absl::StatusOr<T> result) {
  Require(result.status());
  return *std::move(result);
}

}  // namespace rein::bench
