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

// A part of a file that can be read alone: a row group of parquet, a run of JSON records.
struct Block {
  std::filesystem::path file;
  int64_t begin = 0;  // index of the row group; byte offset
  int64_t rows = 0;
  int64_t bytes = 0;  // about what it holds in memory
};

// Names of the columns, or the keys of the first record of JSON (none: no record).
// Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (neither parquet nor JSON, truncated, empty,
// compressed).
absl::StatusOr<std::vector<std::string>> ColumnsOf(const std::filesystem::path& file);

// The whole file; of parquet only `columns` (empty: all). Errors: as above.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenRecords(const std::filesystem::path& file,
                                                          const std::vector<std::string>& columns);
// One block of a file, blocks being what BlocksOf said of the same file.
absl::StatusOr<std::unique_ptr<RecordSource>> OpenBlock(const Block& block,
                                                        const std::vector<std::string>& columns);
// In the order of the file; reads all of a JSON file, the footer of a parquet file.
absl::StatusOr<std::vector<Block>> BlocksOf(const std::filesystem::path& file);

// "FILE: why", INVALID_ARGUMENT.
absl::Status BadFile(const std::filesystem::path& file, absl::string_view why);

}  // namespace rein::data
