// The folder that --model names: what some benchmarks run on.
#pragma once

#include <filesystem>
#include <string>

namespace rein::bench {

void SetModelFolder(const std::string& folder);
const std::filesystem::path& ModelFolder();  // empty unless set

}  // namespace rein::bench
