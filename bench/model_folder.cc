#include "bench/model_folder.h"

namespace rein::bench {
namespace {

std::filesystem::path& Folder() {
  static std::filesystem::path folder;
  return folder;
}

}  // namespace

void SetModelFolder(const std::string& folder) { Folder() = folder; }

const std::filesystem::path& ModelFolder() { return Folder(); }

}  // namespace rein::bench
