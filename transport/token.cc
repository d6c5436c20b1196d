#include "transport/token.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status.h"

namespace rein::transport {
namespace {

constexpr size_t kTokenBytes = 32;

bool IsToken(const std::string& text) {
  return text.size() == 2 * kTokenBytes &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isxdigit(c); });
}

absl::StatusOr<std::string> RandomHex() {
  std::array<char, kTokenBytes> bytes;
  if (getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size())) {
    return SystemError(errno, "cannot draw random bytes from", "getrandom");
  }
  return absl::BytesToHexString(absl::string_view(bytes.data(), bytes.size()));
}

}  // namespace

absl::StatusOr<std::string> MakeToken(const std::filesystem::path& path) {
  REIN_ASSIGN_OR_RETURN(const std::string token, RandomHex());
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 && errno == EEXIST) return ReadToken(path);
  if (fd < 0) return SystemError(errno, "cannot create token file", path);
  const ssize_t written = write(fd, token.data(), token.size());
  const int error = errno;
  fsync(fd);
  close(fd);
  if (written != static_cast<ssize_t>(token.size())) {
    unlink(path.c_str());
    return SystemError(error, "cannot write token file", path);
  }
  return token;
}

absl::StatusOr<std::string> ReadToken(const std::filesystem::path& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return SystemError(errno, "cannot read token file", path);
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(absl::StrCat("others may read the job token ", path.string(),
                                                    "; make it private: chmod 600 ", path.string()));
  }
  REIN_ASSIGN_OR_RETURN(std::string text, ReadFile(path, 4096));
  text = std::string(absl::StripSuffix(text, "\n"));
  if (!IsToken(text)) {
    return absl::InvalidArgumentError(absl::StrCat(
        path.string(), " is not a job token: 64 hex digits expected; remove it and start the job again"));
  }
  return text;
}

}  // namespace rein::transport
