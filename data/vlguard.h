// Records of VLGuard as rows of our own. Not for other folders.
#pragma once

#include <filesystem>
#include <vector>

#include "data/read_options.h"
#include "nlohmann/json.hpp"

namespace rein::data {

// Its layout: train.json and test.json, lists of records, and the folders train and test of the pictures.
std::filesystem::path VlGuardImages(const std::filesystem::path& file);

// {"question", "answer", "image", "category"} of each exchange in "instr-resp": one of an unsafe picture
// ("instruction"), two of a safe one ("safe_instruction", "unsafe_instruction"). The category is
// "harmful_category"; of a safe picture "benign", and "unsafe_instruction" where the instruction is unsafe.
std::vector<nlohmann::json> VlGuardRows(const std::filesystem::path& file, const nlohmann::json& record,
                                        const ColumnNames& columns);

}  // namespace rein::data
