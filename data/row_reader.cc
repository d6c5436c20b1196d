#include "data/row_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/files.h"
#include "data/records.h"
#include "data/row_keys.h"
#include "data/row_parser.h"

namespace rein::data {

RowReader::RowReader(std::filesystem::path path, std::unique_ptr<ReadOptions> options)
    : path_(std::move(path)), options_(std::move(options)) {}
RowReader::RowReader(RowReader&&) noexcept = default;
RowReader::~RowReader() = default;

absl::StatusOr<RowReader> RowReader::Open(const std::filesystem::path& path, const ReadOptions& options) {
  REIN_RETURN_IF_ERROR(CheckReadOptions(options));
  REIN_ASSIGN_OR_RETURN(DataFiles found, FindDataFiles(path, options.split));
  RowReader reader(path, std::make_unique<ReadOptions>(options));
  reader.files_ = std::move(found.files);
  for (const std::string& folder : found.empty_folders)
    reader.report_.noted[absl::StrCat("empty folder ", folder)] = 1;
  REIN_RETURN_IF_ERROR(reader.OpenNextFile());
  return reader;
}

absl::Status RowReader::OpenNextFile() {
  const std::filesystem::path& file = files_[next_file_++];
  REIN_ASSIGN_OR_RETURN(RowParser parser, RowParser::Make(file, *options_));
  REIN_ASSIGN_OR_RETURN(source_, OpenRecords(file, parser.columns()));
  if (!parser.columns().empty()) ++report_.formats[FormatName(parser.format())];
  parser_ = std::make_unique<RowParser>(std::move(parser));
  rows_before_file_ = report_.rows;
  return absl::OkStatus();
}

absl::Status RowReader::CloseFile() {
  source_ = nullptr;
  const std::filesystem::path& file = files_[next_file_ - 1];
  if (report_.rows == rows_before_file_ && files_.size() > 1)
    report_.noted[absl::StrCat("no rows in ", file.lexically_relative(path_).string())] = 1;
  if (next_file_ == files_.size() && report_.rows == 0) return BadFile(path_, "holds no rows");
  return absl::OkStatus();
}

bool RowReader::IsDuplicate(const Row& row) {
  return options_->drop_duplicates && !seen_.insert(RowKey(row)).second;
}

absl::StatusOr<std::optional<Row>> RowReader::Next() {
  while (true) {
    while (!pending_.empty()) {
      Row row = std::move(pending_.front());
      pending_.pop_front();
      if (IsDuplicate(row)) {
        ++report_.dropped["duplicate"];
        continue;
      }
      ++report_.kept;
      return row;
    }
    if (source_ == nullptr && next_file_ == files_.size()) return std::nullopt;
    if (source_ == nullptr) REIN_RETURN_IF_ERROR(OpenNextFile());
    Record record;
    REIN_ASSIGN_OR_RETURN(const bool found, source_->Next(record));
    if (!found) {
      REIN_RETURN_IF_ERROR(CloseFile());
      continue;
    }
    parsed_.clear();
    parser_->Parse(record, report_, parsed_);
    for (Row& row : parsed_) pending_.push_back(std::move(row));
  }
}

}  // namespace rein::data
