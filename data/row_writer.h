// Writes rows in the BeaverTails-V schema to one parquet file, in memory that does not grow with them.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/row.h"

namespace rein::data {

// 1. Open. 2. Add each row. 3. Finish: only then is the file there, whole; without it nothing is left behind.
// Row groups hold 1024 rows or 32 MiB, whichever is less, in pages of
// about 1 MiB. Equal rows give equal bytes. Not thread-safe.
class RowWriter {
 public:
  // Writes to PATH.partial until Finish. Errors: UNAVAILABLE, RESOURCE_EXHAUSTED (the file cannot be
  // written).
  static absl::StatusOr<RowWriter> Open(const std::filesystem::path& path);

  RowWriter(RowWriter&&) noexcept;
  ~RowWriter();

  // What the row does not say becomes null. Errors: INVALID_ARGUMENT (several pictures or more than two
  // answers: the schema has no place for them), those of writing.
  absl::Status Add(Row row);

  // Replaces what was at the path.
  absl::Status Finish();

 private:
  class File;
  explicit RowWriter(std::unique_ptr<File> file);
  absl::Status Flush();

  std::unique_ptr<File> file_;
  std::vector<Row> pending_;
  size_t pending_bytes_ = 0;
};

}  // namespace rein::data
