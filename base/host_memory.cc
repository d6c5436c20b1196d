#include "base/host_memory.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace rein {
namespace {

namespace fs = std::filesystem;

// The number behind `key` in a file of lines "key number"; nothing where there is none.
std::optional<int64_t> Field(const fs::path& file, std::string_view key) {
  std::ifstream lines(file);
  std::string name, rest;
  int64_t value = 0;
  while (lines >> name) {
    if (name == key && lines >> value) return value;
    lines.clear();
    std::getline(lines, rest);
  }
  return std::nullopt;
}

// A file that holds one number; nothing for "max" and where there is no such file.
std::optional<int64_t> Number(const fs::path& file) {
  std::ifstream stream(file);
  int64_t value = 0;
  if (stream >> value) return value;
  return std::nullopt;
}

struct Names {
  const char *limit, *used, *cache;
};
constexpr Names kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr Names kVersion2{"memory.max", "memory.current", "inactive_file"};

// What the limits from `group` up to `top` leave.
int64_t LeftInGroups(fs::path group, const fs::path& top, const Names& names) {
  int64_t least = INT64_MAX;
  while (true) {
    const std::optional<int64_t> limit = Number(group / names.limit), used = Number(group / names.used);
    if (limit && used) {
      const int64_t cache = Field(group / "memory.stat", names.cache).value_or(0);
      least = std::min(least, std::max<int64_t>(0, *limit - *used + cache));
    }
    if (group == top || !group.has_relative_path()) return least;
    group = group.parent_path();
  }
}

// Lines of /proc/self/cgroup: "0::/path" (version 2), "4:memory:/path" (version 1).
int64_t LeftInCgroups(const fs::path& root) {
  const fs::path top = root / "sys/fs/cgroup";
  int64_t least = INT64_MAX;
  std::ifstream lines(root / "proc/self/cgroup");
  std::string line;
  while (std::getline(lines, line)) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = fs::path(line.substr(second + 1)).relative_path();
    if (controllers.empty()) {
      least = std::min(least, LeftInGroups(group.empty() ? top : top / group, top, kVersion2));
    } else if (controllers == "memory") {
      // Inside a container the path is that of the host, and what is mounted is the group itself.
      const fs::path mount = top / "memory", own = group.empty() ? mount : mount / group;
      least = std::min(least, LeftInGroups(fs::exists(own) ? own : mount, mount, kVersion1));
    }
  }
  return least;
}

}  // namespace

absl::StatusOr<int64_t> AvailableHostMemory(const fs::path& root) {
  const fs::path file = root / "proc/meminfo";
  const std::optional<int64_t> available = Field(file, "MemAvailable:");
  if (!available) return absl::UnavailableError(absl::StrCat(file.string(), " has no line MemAvailable"));
  return std::min(*available * 1024, LeftInCgroups(root));
}

}  // namespace rein
