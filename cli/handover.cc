#include "cli/handover.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"

namespace rein::cli {

namespace fs = std::filesystem;

absl::StatusOr<fs::path> ProgramFolder() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  if (error) return absl::UnavailableError(absl::StrCat("/proc/self/exe: ", error.message()));
  return self.parent_path();
}

absl::Status HandOver(const fs::path& folder, const std::string& program, int argc, const char* const* argv) {
  const std::string path = (folder / program).string();
  std::vector<char*> arguments = {const_cast<char*>(path.c_str())};
  for (int i = 1; i < argc; ++i) arguments.push_back(const_cast<char*>(argv[i]));
  arguments.push_back(nullptr);
  execv(path.c_str(), arguments.data());
  const int error = errno;
  if (error == ENOENT) {
    return absl::NotFoundError(absl::StrCat("this verb is done by ", program, ", which is not in ",
                                            folder.string(), ": build or install it beside rein"));
  }
  return absl::UnavailableError(
      absl::StrCat(path, ": ", std::generic_category().message(error), "; this verb is done by it"));
}

}  // namespace rein::cli
