#include "base/positional_io.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace rein {
namespace {

constexpr size_t kLargestTransfer = size_t{1} << 30;

}  // namespace

ssize_t ReadFully(int fd, void* to, size_t size, int64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count = pread(fd, static_cast<char*>(to) + done, std::min(size - done, kLargestTransfer),
                                offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  return static_cast<ssize_t>(done);
}

bool WriteFully(int fd, const void* from, size_t size, int64_t offset) {
  size_t done = 0;
  while (done < size) {
    const ssize_t count =
        pwrite(fd, static_cast<const char*>(from) + done, std::min(size - done, kLargestTransfer),
               offset + static_cast<int64_t>(done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace rein
