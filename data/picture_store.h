// The encoded pictures of a data set, by digest.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::data {

// Keeps each picture once: in memory up to a bound, those past it in a nameless file in the folder for
// temporary files (TMPDIR), which goes when the store goes.
class PictureStore {
 public:
  static constexpr int64_t kMemoryBytes = int64_t{256} << 20;

  using Encoded = std::shared_ptr<const std::string>;

  explicit PictureStore(int64_t memory_bytes = kMemoryBytes) : memory_bytes_(memory_bytes) {}

  // One thread, before the first Get. Errors: RESOURCE_EXHAUSTED (the disk is full), else those of the file.
  absl::Status Keep(const std::string& digest, std::string encoded);
  // Thread-safe. Errors: NOT_FOUND (nothing was kept under it), UNAVAILABLE (read error).
  absl::StatusOr<Encoded> Get(const std::string& digest) const;

  size_t size() const { return pictures_.size(); }
  // Bytes in the file; 0: all are in memory.
  int64_t spilled_bytes() const { return spilled_bytes_; }

 private:
  struct Picture {
    Encoded in_memory;  // null: in the file
    int64_t offset = 0;
    int64_t size = 0;
  };
  absl::Status Spill(const std::string& encoded);

  int64_t memory_bytes_;
  int64_t kept_bytes_ = 0;
  int64_t spilled_bytes_ = 0;
  absl::flat_hash_map<std::string, Picture> pictures_;
  std::shared_ptr<std::FILE> file_;
};

}  // namespace rein::data
