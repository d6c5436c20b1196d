// Which columns each format has, and which format a file's columns speak. Not for other folders.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "data/read_options.h"

namespace rein::data {

struct Schema {
  Format format;
  std::vector<std::string> required;
  std::vector<std::string> optional;
};

// In the order in which they are tried.
absl::Span<const Schema> Schemas();
const Schema& SchemaOf(Format format);

std::string NameInFile(const ColumnNames& columns, const std::string& name);

// Errors: INVALID_ARGUMENT (a canonical name that no format has; lists those there are).
absl::Status CheckColumnNames(const ColumnNames& columns);

// The format of a file with these columns: options.format, or the first that has all it requires.
// Errors: INVALID_ARGUMENT (columns are missing: lists those found, and what each format requires).
absl::StatusOr<Format> RecogniseFormat(const std::vector<std::string>& found, const ReadOptions& options);

// Columns of `found` that a format uses, by their names in the file.
std::vector<std::string> UsedColumns(Format format, const std::vector<std::string>& found,
                                     const ColumnNames& columns);

}  // namespace rein::data
