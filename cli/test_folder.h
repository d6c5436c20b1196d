// Helps tests: folders, and waiting for what appears in them.
#pragma once

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/test_folder.h"

namespace rein::cli {

// Waits until `name` is there in `folder`; false after half a minute.
inline bool WaitForFile(const std::filesystem::path& folder, const std::string& name) {
  const int watch = inotify_init1(IN_CLOEXEC);
  inotify_add_watch(watch, folder.c_str(), IN_CREATE | IN_MOVED_TO);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!std::filesystem::exists(folder / name) && absl::Now() < deadline) {
    pollfd waiting{watch, POLLIN, 0};
    char seen[4096];
    if (poll(&waiting, 1, 1000) > 0 && read(watch, seen, sizeof(seen)) < 0) break;
  }
  close(watch);
  return std::filesystem::exists(folder / name);
}

}  // namespace rein::cli
