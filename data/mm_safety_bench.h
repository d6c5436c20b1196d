// Records of MM-SafetyBench as rows of our own. Not for other folders.
#pragma once

#include <filesystem>
#include <vector>

#include "data/read_options.h"
#include "nlohmann/json.hpp"

namespace rein::data {

// Its layout: processed_questions/SCENARIO.json, one object of records by number, and beside that folder
// imgs/SCENARIO/KIND/NUMBER.jpg (or "MM-SafetyBench(imgs)", as the archive is called).
std::filesystem::path MmSafetyBenchImages(const std::filesystem::path& file);

// {"question", "image", "category"} of each kind of picture: SD (what the question is about), TYPO (its
// words) and SD_TYPO (both), with the wording of the question that belongs to it. The category is the
// scenario without its number.
std::vector<nlohmann::json> MmSafetyBenchRows(const std::filesystem::path& file, const nlohmann::json& record,
                                              const ColumnNames& columns);

}  // namespace rein::data
