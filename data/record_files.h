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

absl::StatusOr<std::unique_ptr<RecordSource>> OpenParquet(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns);
absl::StatusOr<std::vector<std::string>> ParquetColumns(const std::filesystem::path& file);

absl::StatusOr<std::unique_ptr<RecordSource>> OpenJson(const std::filesystem::path& file);
absl::StatusOr<std::vector<std::string>> JsonKeys(const std::filesystem::path& file);

}  // namespace rein::data
