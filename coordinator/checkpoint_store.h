// Checkpoints in two phases: holders of state write into step-N.partial/, then the manifest is written, all
// is made durable, and the rename to step-N/ is the commit.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/manifest.h"

namespace rein::coordinator {

struct Retention {
  int64_t keep_newest = 2;
  int64_t keep_every = 0;  // 0: off
};

// One thread.
class CheckpointStore {
 public:
  // `folder`: RUN/checkpoints, made if it is not there.
  static absl::StatusOr<CheckpointStore> Open(const std::filesystem::path& folder);

  // Makes an empty step-N.partial/ and returns it; what an earlier attempt left there is removed.
  absl::StatusOr<std::filesystem::path> Begin(int64_t step);
  // The commit. Holders of state have fsynced their own files by now; their sizes are checked. A step-N that
  // exists already is replaced only if it is damaged; otherwise it stands and the partial folder is removed.
  // Errors: RESOURCE_EXHAUSTED (disk full), DATA_LOSS (a reported file is missing or has another size),
  // INVALID_ARGUMENT (a state that JSON cannot hold, a path that leaves the folder), NOT_FOUND (no Begin).
  // After an error the partial folder is gone and older checkpoints stand.
  absl::Status Commit(const Manifest& manifest);
  // Removes step-N.partial/.
  void Abandon(int64_t step);

  // The newest checkpoint whose manifest and files are whole (sizes and CRC32C are checked). Those that are
  // not are skipped, each with a line in `refused`: file, what is wrong, offset or sizes.
  // nullopt: none. Damaged ones stay on disk, renamed to step-N.damaged. Errors: PERMISSION_DENIED,
  // UNAVAILABLE (a file that cannot be read now is not called damaged).
  absl::StatusOr<std::optional<Manifest>> Newest(std::vector<std::string>* refused);
  // step-N/, absolute.
  std::filesystem::path FolderOf(int64_t step) const;

  // Removes what the rule does not keep: newest K, every Mth, and the best one (meets its constraints, then
  // evaluated, then highest reward). Also leftover .partial folders. A checkpoint whose manifest does not
  // parse is left alone.
  absl::Status Retain(const Retention& rule);
  // The best one that is there, by the rule above; without one that meets its constraints the newest.
  // nullopt: no checkpoint at all.
  absl::StatusOr<std::optional<Manifest>> Best() const;

 private:
  explicit CheckpointStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  absl::Status CommitPartial(const Manifest& manifest);

  std::filesystem::path folder_;
};

}  // namespace rein::coordinator
