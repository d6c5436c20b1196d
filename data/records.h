// Records of a file, whatever it is written in: one JSON object each, bytes as JSON binary values. Memory
// holds one batch of records, and of parquet one page of each column. For data/ and evaluation/ only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace rein::data {

struct Record {
  nlohmann::json fields;  // an object; anything where there is a problem
  std::string problem;    // why it cannot be read although its neighbours can; empty: it can
};

class RecordSource {
 public:
  virtual ~RecordSource() = default;
  // False at the end. Errors: INVALID_ARGUMENT (the file is broken from here on). Not to be called after an
  // error.
  virtual absl::StatusOr<bool> Next(Record& record) = 0;
};

// Names of the columns, or the keys of the first record of JSON (none: no record).
// Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (neither parquet nor JSON, truncated, empty,
// compressed).
absl::StatusOr<std::vector<std::string>> ColumnsOf(const std::filesystem::path& file);

// The whole file; of parquet only `columns` (empty: all). Errors: as above.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenRecords(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns);
// "FILE: why", INVALID_ARGUMENT.
absl::Status BadFile(const std::filesystem::path& file, absl::string_view why);

}  // namespace rein::data
