// An endless stream of rows in a seeded order that resumes exactly, in bounded memory.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "data/epoch_order.h"
#include "data/read_options.h"
#include "data/read_report.h"
#include "data/records.h"
#include "data/row.h"

namespace rein::data {

struct ShuffleOptions {
  uint64_t seed = 1;
  // Records are shuffled within a window of this many, or of this many bytes, at least one block each time.
  int64_t window_rows = 2048;
  int64_t window_bytes = 256 << 20;
};

class RowParser;

// Every epoch the blocks of all files (row groups of parquet, runs of 256 records of JSON) are shuffled, then
// the records within windows of blocks that follow each other in that order. A pure function of the seed and
// the files: a stream opened at `position` goes on as the one that was there did, having read one window. Not
// thread-safe.
class ShuffledRows {
 public:
  // Reads footers, and JSON files once from end to end. Errors: those of RowReader::Open; INVALID_ARGUMENT (a
  // window or position below what is possible; drop_duplicates or every_exchange, whose rows depend on more
  // than a position: convert the data first).
  static absl::StatusOr<ShuffledRows> Open(const std::filesystem::path& path, const ReadOptions& options = {},
                                           const ShuffleOptions& shuffle = {}, int64_t position = 0);

  ShuffledRows(ShuffledRows&&) noexcept;
  ~ShuffledRows();

  // Errors: INVALID_ARGUMENT (a file is broken or has changed, or no row of a whole epoch can be used).
  absl::StatusOr<Row> Next();

  // Records behind the row that Next returned last, those that were dropped included: where to open again.
  int64_t position() const { return position_; }
  // Records in an epoch.
  int64_t size() const { return size_; }
  // Since Open.
  const ReadReport& report() const { return report_; }

 private:
  struct Stored {
    size_t file;
    Record record;
  };

  ShuffledRows(std::unique_ptr<ReadOptions> options, const ShuffleOptions& shuffle);
  absl::Status AddFile(const std::filesystem::path& file);
  absl::Status LoadWindow();
  absl::Status LoadBlock(size_t block, std::vector<Stored>& window);
  void ShuffleWindow(std::vector<Stored> window, uint64_t first_block);

  std::unique_ptr<const ReadOptions> options_;
  ShuffleOptions shuffle_;
  std::vector<RowParser> parsers_;  // one a file
  std::vector<Block> blocks_;
  std::vector<size_t> file_of_block_;
  std::optional<EpochOrder> order_;  // of blocks
  int64_t size_ = 0;
  int64_t position_ = 0;
  int64_t next_block_ = 0;    // in the order; counts on over epochs
  int64_t window_begin_ = 0;  // position of the first record of the next window
  std::deque<Stored> window_;
  ReadReport report_;
};

}  // namespace rein::data
