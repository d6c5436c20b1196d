#include "data/picture_store.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/positional_io.h"
#include "base/status.h"

namespace rein::data {
namespace {

constexpr char kFile[] = "the file of pictures in the temporary folder";

// A file that has no name any more and ends with its last user.
absl::StatusOr<std::shared_ptr<std::FILE>> NamelessFile() {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) return SystemError(error.value(), "cannot use the temporary folder that TMPDIR names", folder);
  std::string name = (folder / "rein-pictures-XXXXXX").string();
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot create", name);
  unlink(name.c_str());
  std::FILE* file = fdopen(fd, "w+");
  if (file != nullptr) return std::shared_ptr<std::FILE>(file, &std::fclose);
  const int error_number = errno;
  close(fd);
  return SystemError(error_number, "cannot open", name);
}

}  // namespace

absl::Status PictureStore::Keep(const std::string& digest, std::string encoded) {
  if (pictures_.contains(digest)) return absl::OkStatus();
  Picture picture{nullptr, spilled_bytes_, static_cast<int64_t>(encoded.size())};
  if (picture.size <= memory_bytes_ - kept_bytes_) {
    kept_bytes_ += picture.size;
    picture.in_memory = std::make_shared<const std::string>(std::move(encoded));
  } else {
    REIN_RETURN_IF_ERROR(Spill(encoded));
  }
  pictures_.emplace(digest, std::move(picture));
  return absl::OkStatus();
}

absl::Status PictureStore::Spill(const std::string& encoded) {
  if (file_ == nullptr) {
    REIN_ASSIGN_OR_RETURN(file_, NamelessFile());
  }
  if (!WriteFully(fileno(file_.get()), encoded.data(), encoded.size(), spilled_bytes_))
    return SystemError(errno, "cannot write", kFile);
  spilled_bytes_ += static_cast<int64_t>(encoded.size());
  return absl::OkStatus();
}

absl::StatusOr<PictureStore::Encoded> PictureStore::Get(const std::string& digest) const {
  const auto found = pictures_.find(digest);
  if (found == pictures_.end()) {
    return absl::NotFoundError(absl::StrCat("no picture has the digest ", digest));
  }
  const Picture& picture = found->second;
  if (picture.in_memory != nullptr) return picture.in_memory;
  auto bytes = std::make_shared<std::string>(static_cast<size_t>(picture.size), '\0');
  const ssize_t got = ReadFully(fileno(file_.get()), bytes->data(), bytes->size(), picture.offset);
  if (got != static_cast<ssize_t>(bytes->size()))
    return SystemError(got < 0 ? errno : EIO, "cannot read", kFile);
  return Encoded(std::move(bytes));
}

}  // namespace rein::data
