// From a record to the rows in it, and what is counted on the way. Not for other folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/benchmarks.h"
#include "data/read_options.h"
#include "data/read_report.h"
#include "data/records.h"
#include "data/row.h"

namespace rein::data {

// Of the records of one file.
class RowParser {
 public:
  // Recognises the file's format. `options` outlives the parser. Errors: those of ColumnsOf and
  // RecogniseFormat (naming the file).
  static absl::StatusOr<RowParser> Make(const std::filesystem::path& file, const ReadOptions& options);

  Format format() const { return format_; }
  // Those that the format uses; empty: the file has none.
  const std::vector<std::string>& columns() const { return columns_; }

  // Appends the usable rows of a record and counts all of them; does not count them as kept. Moves pictures
  // out of the record.
  void Parse(Record& record, ReadReport& report, std::vector<Row>& rows) const;

 private:
  RowParser(std::filesystem::path file, const ReadOptions* options)
      : file_(std::move(file)), options_(options) {}
  void ParseFieldsOf(nlohmann::json& record, const ReadOptions& options, ReadReport& report,
                     std::vector<Row>& rows) const;

  std::filesystem::path file_;
  const ReadOptions* options_;
  const Benchmark* benchmark_ = nullptr;  // whose records become rows of our own
  ReadOptions benchmark_options_;         // of these rows
  Format format_ = Format::kRows;
  std::vector<std::string> columns_;
};

}  // namespace rein::data
