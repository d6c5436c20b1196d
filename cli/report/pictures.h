// Pictures inside the page.
#pragma once

#include <filesystem>
#include <string>

namespace rein::report {

// Encoded bytes as a data URI; empty where they cannot be shown (no picture, or over 2 MiB).
std::string DataUri(const std::string& encoded);

// The picture RUN/pictures/DIGEST.* as a data URI; empty where there is none that can be shown (also: a
// digest that is no name).
std::string PictureUri(const std::filesystem::path& run_dir, const std::string& digest);

}  // namespace rein::report
