// Benchmarks: each of their records becomes rows of our own, which are then read like any. Not for other
// folders.
#pragma once

#include <filesystem>
#include <vector>

#include "data/read_options.h"
#include "nlohmann/json.hpp"

namespace rein::data {

struct Benchmark {
  // Where the pictures of a file are, unless ReadOptions::images says it; empty: beside the file, or in
  // `images` there.
  std::filesystem::path (*images)(const std::filesystem::path& file);
  // Rows of our own from a record of that file: {"question", "image", "category"} and perhaps "answer".
  // Fields that are missing or wrong become null or stay as they are, so that reading drops and counts them.
  std::vector<nlohmann::json> (*rows)(const std::filesystem::path& file, const nlohmann::json& record,
                                      const ColumnNames& columns);
};

// nullptr where the records of the format are rows already.
const Benchmark* BenchmarkOf(Format format);

}  // namespace rein::data
