// Which files a data set is made of. Not for other folders.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "data/read_options.h"

namespace rein::data {

struct DataFiles {
  std::vector<std::filesystem::path> files;  // in name order
  std::vector<std::string> empty_folders;    // below the path, relative to it
};

// The file itself, or those below a folder: *.parquet; where there is none *.jsonl; else *.json. A split
// keeps files whose name, or whose folder's, begins with "train", or with "eval", "val" or "test". Errors:
// NOT_FOUND (no such path, no file below it, none of the split: says which).
absl::StatusOr<DataFiles> FindDataFiles(const std::filesystem::path& path, Split split);

}  // namespace rein::data
