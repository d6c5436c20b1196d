#include "coordinator/manifest.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;

constexpr char kFileName[] = "manifest.json";
constexpr size_t kBlockBytes = 1 << 20;

nlohmann::json ToJson(const Manifest& manifest) {
  nlohmann::json files = nlohmann::json::array();
  for (const v1::SavedFile& file : manifest.files) {
    files.push_back({{"path", file.path()}, {"size_bytes", file.size_bytes()}, {"crc32c", file.crc32c()}});
  }
  return {{"step", manifest.step},
          {"epoch", manifest.epoch},
          {"files", files},
          {"state", manifest.state},
          {"job", manifest.job_yaml},
          {"evaluated", manifest.evaluated},
          {"meets_constraints", manifest.meets_constraints},
          {"reward_mean", manifest.reward_mean}};
}

// Throws nlohmann::json::exception where a field is missing or of another type.
Manifest FromJson(const nlohmann::json& json) {
  Manifest manifest;
  manifest.step = json.at("step").get<int64_t>();
  manifest.epoch = json.at("epoch").get<uint64_t>();
  for (const nlohmann::json& entry : json.at("files")) {
    v1::SavedFile& file = manifest.files.emplace_back();
    file.set_path(entry.at("path").get<std::string>());
    file.set_size_bytes(entry.at("size_bytes").get<int64_t>());
    file.set_crc32c(entry.at("crc32c").get<uint32_t>());
  }
  manifest.state = json.at("state");
  manifest.job_yaml = json.at("job").get<std::string>();
  manifest.evaluated = json.at("evaluated").get<bool>();
  manifest.meets_constraints = json.at("meets_constraints").get<bool>();
  manifest.reward_mean = json.at("reward_mean").get<double>();
  return manifest;
}

// The file is one JSON object whose first line guards all others: {"crc32c": SUM, then the fields.
std::string Seal(absl::string_view fields) {
  return absl::StrFormat("{\"crc32c\": %u,\n%s", Crc32c(fields), fields);
}

absl::StatusOr<std::string> Serialise(const Manifest& manifest) {
  const nlohmann::json json = ToJson(manifest);
  std::string text;
  try {
    text = json.dump(1);
  } catch (const nlohmann::json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("the manifest cannot be written as JSON: ", error.what()));
  }
  // NaN and infinities would silently become null.
  if (nlohmann::json::parse(text) != json) {
    return absl::InvalidArgumentError("the checkpoint's state holds a number that is not finite");
  }
  return Seal(absl::string_view(text).substr(text.find('\n') + 1));
}

absl::Status Damaged(const fs::path& path, absl::string_view what) {
  return absl::DataLossError(absl::StrCat(path.string(), " is damaged: ", what));
}

bool StaysInside(const fs::path& path) {
  return !path.empty() && path.is_relative() && std::find(path.begin(), path.end(), "..") == path.end();
}

absl::Status ReadError(const fs::path& path, int64_t offset) {
  if (errno != EIO) return SystemError(errno, "cannot read", path);
  return Damaged(path, absl::StrCat("the disk cannot read it at offset ", offset));
}

absl::Status CheckContent(int fd, const fs::path& path, const v1::SavedFile& file) {
  std::string block(kBlockBytes, '\0');
  int64_t offset = 0;
  uint32_t crc = 0;
  while (true) {
    const ssize_t got = read(fd, block.data(), block.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ReadError(path, offset);
    if (got == 0) break;
    crc = Crc32c(absl::string_view(block.data(), static_cast<size_t>(got)), crc);
    offset += got;
  }
  if (crc == file.crc32c()) return absl::OkStatus();
  return Damaged(
      path, absl::StrFormat("CRC32C %08x over %d bytes, the manifest says %08x", crc, offset, file.crc32c()));
}

absl::Status CheckFile(const fs::path& folder, const v1::SavedFile& file, bool contents) {
  if (!StaysInside(file.path())) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", file.path(), "' is not a path inside the checkpoint ", folder.string()));
  }
  const fs::path path = folder / file.path();
  // Not to wait for a writer where somebody has put a pipe.
  const int fd = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  const auto closer = absl::MakeCleanup([fd] { close(fd); });
  struct stat info;
  if (fstat(fd, &info) != 0) return SystemError(errno, "cannot stat", path);
  if (!S_ISREG(info.st_mode)) return Damaged(path, "it is not a regular file");
  if (info.st_size != file.size_bytes()) {
    return Damaged(path, absl::StrCat("it ends at offset ", info.st_size, ", the manifest says ",
                                      file.size_bytes(), " bytes"));
  }
  return contents ? CheckContent(fd, path, file) : absl::OkStatus();
}

}  // namespace

absl::Status WriteManifest(const fs::path& folder, const Manifest& manifest) {
  REIN_ASSIGN_OR_RETURN(const std::string text, Serialise(manifest));
  return WriteFileAtomically(folder / kFileName, text);
}

absl::StatusOr<Manifest> ReadManifest(const fs::path& folder) {
  const fs::path path = folder / kFileName;
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  const size_t line_end = text.find('\n');
  if (line_end == std::string::npos) {
    return Damaged(path, absl::StrCat("cut off or foreign, ", text.size(), " bytes without a second line"));
  }
  if (Seal(absl::string_view(text).substr(line_end + 1)) != text) {
    return Damaged(path,
                   absl::StrCat("its ", text.size(), " bytes do not have the CRC32C of its first line"));
  }
  try {
    return FromJson(nlohmann::json::parse(text));
  } catch (const nlohmann::json::exception& error) {
    return Damaged(path, error.what());
  }
}

absl::Status CheckFiles(const fs::path& folder, const Manifest& manifest, bool contents) {
  for (const v1::SavedFile& file : manifest.files) {
    REIN_RETURN_IF_ERROR(CheckFile(folder, file, contents));
  }
  return absl::OkStatus();
}

}  // namespace rein::coordinator
