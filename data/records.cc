#include "data/records.h"

#include "absl/strings/str_cat.h"
#include "data/record_files.h"

namespace rein::data {

absl::Status BadFile(const std::filesystem::path& file, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(file.string(), ": ", why));
}

absl::StatusOr<std::vector<std::string>> ColumnsOf(const std::filesystem::path& file) {
  return IsParquet(file) ? ParquetColumns(file) : JsonKeys(file);
}

absl::StatusOr<std::unique_ptr<RecordSource>> OpenRecords(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns) {
  return IsParquet(file) ? OpenParquet(file, columns) : OpenJson(file);
}

}  // namespace rein::data
