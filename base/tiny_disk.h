// A file system of a few pages, for tests of full disks.
#pragma once

#include <sched.h>
#include <sys/mount.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"

namespace rein {

// Mounted in a mount namespace of the calling thread, so that nothing outlives the test. Where the process
// may not mount, `folder` stays empty and the test is skipped.
class TinyDisk {
 public:
  TinyDisk(const std::filesystem::path& folder, int bytes) {
    std::filesystem::create_directories(folder);
    if (unshare(CLONE_NEWNS) != 0) return;
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return;
    if (mount("tmpfs", folder.c_str(), "tmpfs", 0, absl::StrCat("size=", bytes).c_str()) != 0) return;
    folder_ = folder;
  }
  ~TinyDisk() {
    if (!folder_.empty()) umount2(folder_.c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;

  const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
};

}  // namespace rein
