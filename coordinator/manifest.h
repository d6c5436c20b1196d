// The manifest of a checkpoint: what belongs to it, guarded by checksums, and the coordinator's own state.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"
#include "rein/v1/trainable.pb.h"

namespace rein::coordinator {

struct Manifest {
  int64_t step = 0;
  uint64_t epoch = 0;  // coordinator epoch that committed it
  // What actors wrote, relative to the checkpoint's folder.
  std::vector<v1::SavedFile> files;
  // Multipliers, prompt cursor, scorers: the coordinator's own state, which is not looked into here. Finite
  // doubles survive bit for bit.
  nlohmann::json state;
  std::string job_yaml;
  // For the choice of the best: whether all constraints were met and the mean reward, over the held-out
  // prompts where this step was evaluated, otherwise over the steps since the last commit.
  bool evaluated = false;
  bool meets_constraints = false;
  double reward_mean = 0;
};

// Writes folder/manifest.json and makes it durable. Errors: RESOURCE_EXHAUSTED (disk full), UNAVAILABLE,
// INVALID_ARGUMENT (a number that is not finite, or text that is not UTF-8).
absl::Status WriteManifest(const std::filesystem::path& folder, const Manifest& manifest);

// Reads it back. Errors: NOT_FOUND, DATA_LOSS (any byte differs from what was written), UNAVAILABLE.
absl::StatusOr<Manifest> ReadManifest(const std::filesystem::path& folder);

// Whether what the manifest names is there with the right size; with `contents` every byte is read as well, a
// piece at a time. Errors, naming the first bad file: NOT_FOUND, DATA_LOSS (size, checksum or kind differ, or
// the disk fails to read it), INVALID_ARGUMENT (a path that leaves `folder`), PERMISSION_DENIED, UNAVAILABLE.
absl::Status CheckFiles(const std::filesystem::path& folder, const Manifest& manifest, bool contents);

}  // namespace rein::coordinator
