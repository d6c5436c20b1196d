// The two kinds of files behind data/records.h. Not for other files than those of records.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/records.h"

namespace rein::data {

bool IsParquet(const std::filesystem::path& file);

// All row groups, or with `row_group` >= 0 only that one.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenParquet(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns,
                                                          int64_t row_group);
absl::StatusOr<std::vector<std::string>> ParquetColumns(const std::filesystem::path& file);
absl::StatusOr<std::vector<Block>> ParquetBlocks(const std::filesystem::path& file);

// `rows` < 0: to the end.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenJson(const std::filesystem::path& file, int64_t offset,
                                                       int64_t rows);
absl::StatusOr<std::vector<std::string>> JsonKeys(const std::filesystem::path& file);
absl::StatusOr<std::vector<Block>> JsonBlocks(const std::filesystem::path& file);

}  // namespace rein::data
