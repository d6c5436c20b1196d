#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein {
namespace {

absl::Status WriteAll(int fd, absl::string_view contents, const std::filesystem::path& path) {
  while (!contents.empty()) {
    const ssize_t written = write(fd, contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemError(errno, "cannot write", path);
    contents.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status WriteAndSync(const std::filesystem::path& path, absl::string_view contents) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(errno, "cannot create", path);
  absl::Status status = WriteAll(fd, contents, path);
  if (status.ok() && fsync(fd) != 0) status = SystemError(errno, "cannot fsync", path);
  if (close(fd) != 0 && status.ok()) status = SystemError(errno, "cannot close", path);
  return status;
}

}  // namespace

absl::Status SystemError(int error_number, absl::string_view what, const std::filesystem::path& path) {
  const std::string message = absl::StrCat(what, " ", path.string(), ": ", std::strerror(error_number));
  switch (error_number) {
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(message);
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(absl::StrCat(message, "; free space and try again"));
    default:
      return absl::UnavailableError(message);
  }
}

absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path, uint64_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(errno, "cannot stat", path);
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path.string(), " is a folder, a file was expected"));
  }
  if (static_cast<uint64_t>(info.st_size) > max_bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path.string(), " has ", info.st_size, " bytes, at most ", max_bytes, " are read"));
  }
  std::string contents(static_cast<size_t>(info.st_size), '\0');
  size_t filled = 0;
  while (filled < contents.size()) {
    const ssize_t count = read(fd, contents.data() + filled, contents.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, "cannot read", path);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  contents.resize(filled);
  return contents;
}

absl::StatusOr<std::string> FileSha256(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  std::string block(size_t{1} << 20, '\0');
  Sha256 sha;
  while (true) {
    const ssize_t count = read(fd, block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, "cannot read", path);
    if (count == 0) return sha.Hex();
    sha.Add(absl::string_view(block.data(), static_cast<size_t>(count)));
  }
}

absl::Status WriteFileAtomically(const std::filesystem::path& path, absl::string_view contents) {
  const std::filesystem::path temporary = absl::StrCat(path.string(), ".", getpid(), ".tmp");
  absl::Status status = WriteAndSync(temporary, contents);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = SystemError(errno, "cannot rename a temporary file to", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return Fsync(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

absl::Status Fsync(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const int result = fsync(fd);
  const int error_number = errno;
  close(fd);
  return result == 0 ? absl::OkStatus() : SystemError(error_number, "cannot fsync", path);
}

absl::Status MakeFolder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  return error ? SystemError(error.value(), "cannot create folder", path) : absl::OkStatus();
}

}  // namespace rein
