// Records of VLSBench as rows of our own. Not for other folders.
#pragma once

#include <filesystem>
#include <vector>

#include "data/read_options.h"
#include "nlohmann/json.hpp"

namespace rein::data {

// Its layout: data.json, a list of records, beside the folder imgs that their paths begin with; or parquet
// files that hold the pictures.
std::filesystem::path VlsBenchImages(const std::filesystem::path& file);

// {"question", "image", "category"}: "instruction", "image" where the record holds the picture and else
// "image_path", and "category".
std::vector<nlohmann::json> VlsBenchRows(const std::filesystem::path& file, const nlohmann::json& record,
                                         const ColumnNames& columns);

}  // namespace rein::data
