// Rows of the BeaverTails-V schema: what jobs and trainers work on. Written to parquet, read from any format.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "data/read_options.h"
#include "data/read_report.h"
#include "data/row.h"

namespace rein::data {

// What a data set says of the harm in an answer.
enum class Harmlessness {
  kRated,     // a harmless rate
  kLabelled,  // safe or unsafe, and no more
  kUnknown,
};

// One question about its pictures with two answers and what people (or the ground truth of scenes) said of
// them.
struct PreferenceRow {
  std::string question;
  std::vector<Picture> pictures;  // in the order of the prompt; most data sets have one
  std::string response[2];
  int more_helpful = 0;           // 1 or 2
  int safer = 0;                  // 1 or 2
  int harmless_rate[2] = {0, 0};  // -3 .. 3, > 0 harmless; +-1 where only a label is there
  bool is_safe[2] = {true, true};
  // Where the two above come from.
  Harmlessness harmlessness[2] = {Harmlessness::kRated, Harmlessness::kRated};
  std::optional<int> helpful_rate[2];  // 0 .. 3
  std::string category;                // one of the 20, or "benign"
  std::string severity;  // of the question with its picture: safe, minor, moderate, severe; may be empty
  bool operator==(const PreferenceRow&) const = default;
};

// What a caller needs of every row; rows that lack it are dropped with what they lack.
enum class Need {
  kQuestion,     // a prompt
  kAnswer,       // a question and response[0]
  kHelpfulPair,  // two responses and more_helpful
  kPair,         // two responses, more_helpful, safer and labels; rates are +-1 where only labels are there
  kModeration,   // the severity of the question, or the label of a response
};

// A row as a preference row: what it does not say keeps its default, ids stay 0. Errors: FAILED_PRECONDITION
// (the row lacks what is needed; the message is the reason and does not vary with the row).
absl::StatusOr<PreferenceRow> ToPreference(Row row, Need need);
Row FromPreference(PreferenceRow row);

// Calls `visit` for every usable row of a file, or of all files below a folder in name order, in any format
// that RowReader knows, one record batch in memory at a time. Pictures are not looked at. `visit` returns an
// error to stop. Rows that break their format or lack what is needed are dropped and counted. Errors: those
// of RowReader.
absl::StatusOr<ReadReport> ReadPreferences(const std::filesystem::path& path, const ColumnNames& columns,
                                           absl::FunctionRef<absl::Status(PreferenceRow)> visit,
                                           Need need = Need::kPair);

// All rows at once; for data that fits into memory.
absl::StatusOr<std::vector<PreferenceRow>> LoadPreferences(const std::filesystem::path& path,
                                                           const ColumnNames& columns = {},
                                                           Need need = Need::kPair);

// Writes one parquet file in the hub's layout (image as struct<bytes, path>), whole or not at all.
absl::Status WritePreferences(const std::filesystem::path& path, const std::vector<PreferenceRow>& rows);

}  // namespace rein::data
