// Helps tests: a folder that is gone when the test ends, and files to be in it.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace rein::cli {

class TestFolder {
 public:
  TestFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rein_cli_XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    return file;
  }
  std::filesystem::path WriteScript(const std::string& name, const std::string& body) const {
    const std::filesystem::path file = Write(name, "#!/bin/sh\n" + body);
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return file;
  }

 private:
  std::filesystem::path path_;
};

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
