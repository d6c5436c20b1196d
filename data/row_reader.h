// Reads rows of every format that is known, one at a time, in memory that does not grow with the data.
#pragma once

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_set>
#include <vector>

#include "absl/status/statusor.h"
#include "data/read_options.h"
#include "data/read_report.h"
#include "data/row.h"

namespace rein::data {

class RowParser;
class RecordSource;

// 1. Open. 2. Next until nullopt. 3. report. Not thread-safe.
class RowReader {
 public:
  // A file, or a folder of files, in name order. Errors: NOT_FOUND (no file of the split), INVALID_ARGUMENT
  // (an option; the first file is of no known format: lists its columns and the formats).
  static absl::StatusOr<RowReader> Open(const std::filesystem::path& path, const ReadOptions& options = {});

  RowReader(RowReader&&) noexcept;
  ~RowReader();

  // The next usable row; nullopt at the end. Errors: INVALID_ARGUMENT (a file is broken or of no known
  // format, or all files together hold no row; names the file). Not to be called after an error.
  absl::StatusOr<std::optional<Row>> Next();

  // Of all rows up to the one that Next returned last.
  const ReadReport& report() const { return report_; }

 private:
  RowReader(std::filesystem::path path, std::unique_ptr<ReadOptions> options);
  absl::Status OpenNextFile();
  absl::Status CloseFile();
  bool IsDuplicate(const Row& row);

  std::filesystem::path path_;
  std::unique_ptr<const ReadOptions> options_;  // where the parser finds it after a move
  std::vector<std::filesystem::path> files_;
  size_t next_file_ = 0;
  int64_t rows_before_file_ = 0;
  std::unique_ptr<RowParser> parser_;
  std::unique_ptr<RecordSource> source_;
  std::vector<Row> parsed_;
  std::deque<Row> pending_;
  std::unordered_set<uint64_t> seen_;
  ReadReport report_;
};

}  // namespace rein::data
