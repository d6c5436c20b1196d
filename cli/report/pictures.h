// Pictures of a run folder, inside the page.
#pragma once

#include <filesystem>
#include <string>

namespace rein::report {

// The picture RUN/pictures/DIGEST.* as a data URI; empty where there is none that can be shown (a digest that
// is no name, a file that is no picture or over 2 MiB).
std::string PictureUri(const std::filesystem::path& run_dir, const std::string& digest);

}  // namespace rein::report
