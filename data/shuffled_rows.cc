#include "data/shuffled_rows.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "data/files.h"
#include "data/row_parser.h"

namespace rein::data {
namespace {

// Parts the order within windows from that of blocks.
constexpr uint64_t kWindowStream = 0x77696e646f77;

absl::Status CheckShuffle(const ReadOptions& options, const ShuffleOptions& shuffle, int64_t position) {
  if (options.drop_duplicates || options.every_exchange) {
    return absl::InvalidArgumentError(
        "rows cannot be shuffled while duplicates are dropped or conversations split; convert the data "
        "first");
  }
  if (shuffle.window_rows < 1 || shuffle.window_bytes < 1 || position < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot shuffle in windows of ", shuffle.window_rows, " rows and ", shuffle.window_bytes,
                     " bytes from position ", position, "; windows start at 1, positions at 0"));
  }
  return absl::OkStatus();
}

}  // namespace

ShuffledRows::ShuffledRows(std::unique_ptr<ReadOptions> options, const ShuffleOptions& shuffle)
    : options_(std::move(options)), shuffle_(shuffle) {}
ShuffledRows::ShuffledRows(ShuffledRows&&) noexcept = default;
ShuffledRows::~ShuffledRows() = default;

absl::StatusOr<ShuffledRows> ShuffledRows::Open(const std::filesystem::path& path, const ReadOptions& options,
                                                const ShuffleOptions& shuffle, int64_t position) {
  REIN_RETURN_IF_ERROR(CheckReadOptions(options));
  REIN_RETURN_IF_ERROR(CheckShuffle(options, shuffle, position));
  REIN_ASSIGN_OR_RETURN(const DataFiles found, FindDataFiles(path, options.split));
  ShuffledRows rows(std::make_unique<ReadOptions>(options), shuffle);
  for (const std::filesystem::path& file : found.files) REIN_RETURN_IF_ERROR(rows.AddFile(file));
  if (rows.size_ == 0) return BadFile(path, "holds no rows");
  rows.order_.emplace(shuffle.seed, rows.blocks_.size());
  const int64_t epoch = position / rows.size_;
  rows.next_block_ = epoch * static_cast<int64_t>(rows.blocks_.size());
  rows.window_begin_ = epoch * rows.size_;
  rows.position_ = position;
  return rows;
}

absl::Status ShuffledRows::AddFile(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(RowParser parser, RowParser::Make(file, *options_));
  if (parser.format() == Format::kMmSafetyBench)
    return BadFile(file, "is a benchmark, of which a record is several rows: they cannot be shuffled");
  REIN_ASSIGN_OR_RETURN(const std::vector<Block> blocks, BlocksOf(file));
  for (const Block& block : blocks) {
    blocks_.push_back(block);
    file_of_block_.push_back(parsers_.size());
    size_ += block.rows;
  }
  if (!blocks.empty()) ++report_.formats[FormatName(parser.format())];
  parsers_.push_back(std::move(parser));
  return absl::OkStatus();
}

// Windows before the position are passed over without reading them.
absl::Status ShuffledRows::LoadWindow() {
  const int64_t per_epoch = static_cast<int64_t>(blocks_.size());
  while (true) {
    const int64_t first = next_block_;
    std::vector<size_t> chosen;
    int64_t rows = 0, bytes = 0;
    while (chosen.empty() ||
           (next_block_ % per_epoch != 0 && rows < shuffle_.window_rows && bytes < shuffle_.window_bytes)) {
      chosen.push_back(order_->At(next_block_++));
      rows += blocks_[chosen.back()].rows;
      bytes += blocks_[chosen.back()].bytes;
    }
    const int64_t begin = window_begin_;
    window_begin_ += rows;
    if (window_begin_ <= position_) continue;
    std::vector<Stored> window;
    for (const size_t block : chosen) REIN_RETURN_IF_ERROR(LoadBlock(block, window));
    ShuffleWindow(std::move(window), static_cast<uint64_t>(first));
    window_.erase(window_.begin(), window_.begin() + (position_ - begin));
    return absl::OkStatus();
  }
}

absl::Status ShuffledRows::LoadBlock(size_t block, std::vector<Stored>& window) {
  const size_t file = file_of_block_[block];
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<RecordSource> source,
                        OpenBlock(blocks_[block], parsers_[file].columns()));
  Stored stored{file, {}};
  for (int64_t i = 0; i < blocks_[block].rows; ++i) {
    REIN_ASSIGN_OR_RETURN(const bool found, source->Next(stored.record));
    if (!found)
      return BadFile(blocks_[block].file, "holds fewer rows than when it was opened; it has changed");
    window.push_back(std::move(stored));
    stored = {file, {}};
  }
  return absl::OkStatus();
}

void ShuffledRows::ShuffleWindow(std::vector<Stored> window, uint64_t first_block) {
  EpochOrder order(RandomBits(shuffle_.seed ^ kWindowStream, first_block), window.size());
  window_.clear();
  for (size_t i = 0; i < window.size(); ++i)
    window_.push_back(std::move(window[order.At(static_cast<int64_t>(i))]));
}

absl::StatusOr<Row> ShuffledRows::Next() {
  std::vector<Row> rows;
  for (int64_t tried = 0; tried < size_; ++tried) {
    if (window_.empty()) REIN_RETURN_IF_ERROR(LoadWindow());
    const Stored stored = std::move(window_.front());
    window_.pop_front();
    ++position_;
    parsers_[stored.file].Parse(stored.record, report_, rows);
    if (rows.empty()) continue;
    ++report_.kept;
    return std::move(rows[0]);
  }
  return BadFile(blocks_[0].file.parent_path(), absl::StrCat("none of ", size_, " rows can be used"));
}

}  // namespace rein::data
