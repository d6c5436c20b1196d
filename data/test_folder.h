// Helps tests: the data sets in tests/fixtures/data.
#pragma once

#include <filesystem>
#include <string>

#include "base/test_folder.h"

namespace rein::data {

inline std::filesystem::path Fixture(const std::string& name) {
  return std::filesystem::path(REIN_SOURCE_DIR) / "tests" / "fixtures" / "data" / name;
}

}  // namespace rein::data
