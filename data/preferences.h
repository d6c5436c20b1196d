// Rows of the BeaverTails-V schema, read from and written to parquet.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rein::data {

// One question about a picture with two answers and what people (or the ground truth of scenes) said of them.
struct PreferenceRow {
  std::string question;
  std::string image_bytes;  // encoded PNG, JPEG or WebP
  std::string image_path;   // as in the file, may be empty
  std::string response[2];
  int more_helpful = 0;           // 1 or 2
  int safer = 0;                  // 1 or 2
  int harmless_rate[2] = {0, 0};  // -3 .. 3, > 0 harmless
  bool is_safe[2] = {true, true};
  std::optional<int> helpful_rate[2];  // 0 .. 3
  std::string category;                // one of the 20, or "benign"
  std::string severity;  // of the question with its picture: safe, minor, moderate, severe; may be empty
  bool operator==(const PreferenceRow&) const = default;
};

// Names of the columns in the file. Keys are the canonical names below; a missing key means that the name is
// canonical. question, image, response_1, response_2, more_helpful_response_id, safer_response_id,
// response_1_harmless_rate, response_2_harmless_rate, is_response_1_safe, is_response_2_safe,
// response_1_helpful_rate, response_2_helpful_rate, category, image_severity. The helpful rates and the
// severity are optional.
using ColumnNames = std::map<std::string, std::string>;

// What was read, and what was dropped and why ("equal responses": 3).
struct ReadReport {
  int64_t rows = 0;
  int64_t kept = 0;
  std::map<std::string, int64_t> dropped;
};

// Calls `visit` for every valid row of a parquet file, or of all *.parquet files below a folder in name
// order, one record batch in memory at a time. `visit` returns an error to stop. Rows with equal responses,
// ids outside {1, 2} or ratings outside -3..3 are dropped and counted. Errors: NOT_FOUND (no file),
// INVALID_ARGUMENT (not parquet, truncated, empty, or a column is missing: lists those found).
absl::StatusOr<ReadReport> ReadPreferences(const std::filesystem::path& path, const ColumnNames& columns,
                                           absl::FunctionRef<absl::Status(PreferenceRow)> visit);

// All rows at once; for data that fits into memory.
absl::StatusOr<std::vector<PreferenceRow>> LoadPreferences(const std::filesystem::path& path,
                                                           const ColumnNames& columns = {});

// Writes one parquet file in the hub's layout (image as struct<bytes, path>), whole or not at all.
absl::Status WritePreferences(const std::filesystem::path& path, const std::vector<PreferenceRow>& rows);

}  // namespace rein::data
