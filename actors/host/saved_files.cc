#include "actors/host/saved_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::host {
namespace {

namespace fs = std::filesystem;

constexpr size_t kBlockBytes = 1 << 20;

struct Checksum {
  int64_t size_bytes = 0;
  uint32_t crc32c = 0;
};

absl::StatusOr<Checksum> ChecksumOf(const fs::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  Checksum sum;
  std::string block(kBlockBytes, '\0');
  while (true) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return SystemError(errno, "cannot read", path);
    if (got == 0) return sum;
    sum.size_bytes += got;
    sum.crc32c = Crc32c(absl::string_view(block.data(), static_cast<size_t>(got)), sum.crc32c);
  }
}

absl::StatusOr<std::vector<fs::path>> ListFiles(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  REIN_RETURN_IF_ERROR(Fsync(folder));
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::end(it);
       it.increment(error)) {
    if (it->is_directory()) REIN_RETURN_IF_ERROR(Fsync(it->path()));
    if (it->is_regular_file()) files.push_back(it->path());
  }
  if (error) return SystemError(error.value(), "cannot list", folder);
  std::sort(files.begin(), files.end());
  return files;
}

bool StaysInside(const fs::path& path) {
  return path.is_relative() && std::find(path.begin(), path.end(), fs::path("..")) == path.end();
}

absl::Status CheckFile(const fs::path& root, const v1::SavedFile& file) {
  if (!StaysInside(file.path())) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", file.path(), "' is not a path inside the checkpoint"));
  }
  REIN_ASSIGN_OR_RETURN(const Checksum sum, ChecksumOf(root / file.path()));
  if (sum.size_bytes == file.size_bytes() && sum.crc32c == file.crc32c()) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      (root / file.path()).string(), " is damaged: ", sum.size_bytes, " bytes with CRC32C ", sum.crc32c,
      ", the manifest says ", file.size_bytes(), " with ", file.crc32c(), "; use another checkpoint"));
}

}  // namespace

absl::StatusOr<std::vector<v1::SavedFile>> SealFiles(const fs::path& root, const fs::path& subfolder) {
  REIN_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, ListFiles(root / subfolder));
  std::vector<v1::SavedFile> files;
  for (const fs::path& path : paths) {
    REIN_RETURN_IF_ERROR(Fsync(path));
    REIN_ASSIGN_OR_RETURN(const Checksum sum, ChecksumOf(path));
    v1::SavedFile file;
    file.set_path(path.lexically_relative(root).string());
    file.set_size_bytes(sum.size_bytes);
    file.set_crc32c(sum.crc32c);
    files.push_back(std::move(file));
  }
  return files;
}

absl::Status CheckFiles(const fs::path& root,
                        const google::protobuf::RepeatedPtrField<v1::SavedFile>& files) {
  for (const v1::SavedFile& file : files) REIN_RETURN_IF_ERROR(CheckFile(root, file));
  return absl::OkStatus();
}

}  // namespace rein::host
