#include "base/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "base/file.h"
#include "base/status.h"

namespace rein {
namespace {

absl::Status WriteAndSync(int fd, absl::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(errno, "cannot append to", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : SystemError(errno, "cannot fsync", path);
}

}  // namespace

absl::Status AppendToFile(const std::filesystem::path& path, absl::string_view bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  struct stat before;
  if (fstat(fd, &before) != 0) return SystemError(errno, "cannot stat", path);
  absl::Status status = WriteAndSync(fd, bytes, path);
  if (!status.ok() && ftruncate(fd, before.st_size) != 0) {
    return WithContext(status, "half a record may be left behind");
  }
  if (status.ok() && before.st_size == 0) return Fsync(path.parent_path());
  return status;
}

}  // namespace rein
