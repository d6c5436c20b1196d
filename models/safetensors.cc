#include "models/safetensors.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/file.h"
#include "base/positional_io.h"
#include "base/status.h"
#include "nlohmann/json.hpp"

namespace rein::models {
namespace {

using Json = nlohmann::json;  // not ordered: names are looked up, and there may be a million

constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // as in the reference implementation
constexpr char kMetadataKey[] = "__metadata__";

struct Dtype {
  const char* name;
  at::ScalarType type;
};
constexpr Dtype kDtypes[] = {{"F64", at::kDouble},    {"F32", at::kFloat}, {"F16", at::kHalf},
                             {"BF16", at::kBFloat16}, {"I64", at::kLong},  {"I32", at::kInt},
                             {"I16", at::kShort},     {"I8", at::kChar},   {"U8", at::kByte},
                             {"BOOL", at::kBool}};

std::string KnownDtypes() {
  return absl::StrJoin(kDtypes, ", ", [](std::string* out, const Dtype& dtype) { *out += dtype.name; });
}

absl::Status Invalid(const std::filesystem::path& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      path.string(), ": ", what, "; the file is damaged or not safetensors, fetch or write it again"));
}

absl::Status InvalidTensor(const std::filesystem::path& path, const std::string& tensor,
                           absl::string_view what) {
  return Invalid(path, absl::StrCat("tensor ", tensor, ": ", what));
}

absl::Status BecameShorter(const std::filesystem::path& path) {
  return Invalid(path, "it became shorter while it was read");
}

absl::Status ReadAt(int fd, uint64_t offset, void* to, uint64_t bytes, const std::filesystem::path& path) {
  const ssize_t count = ReadFully(fd, to, bytes, static_cast<int64_t>(offset));
  if (count < 0) return SystemError(errno, "cannot read", path);
  if (static_cast<uint64_t>(count) < bytes) return BecameShorter(path);
  return absl::OkStatus();
}

// Parses with two extra rules: no name twice, and no nesting deeper than a header has.
absl::StatusOr<Json> ParseHeader(const std::string& text, const std::filesystem::path& path) {
  std::set<std::string> names;
  std::string duplicate;
  bool too_deep = false;
  const auto check = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 4) too_deep = true;
    if (event == Json::parse_event_t::key && depth == 1) {
      if (!names.insert(parsed.get_ref<const std::string&>()).second) duplicate = parsed.get<std::string>();
    }
    return !too_deep;
  };
  Json header = Json::parse(text, check, /*allow_exceptions=*/false);
  if (too_deep) return Invalid(path, "header is nested deeper than a safetensors header");
  if (header.is_discarded() || !header.is_object()) return Invalid(path, "header is not a JSON object");
  if (!duplicate.empty()) return InvalidTensor(path, duplicate, "name stands twice in the header");
  return header;
}

absl::StatusOr<SafetensorsMetadata> ReadMetadata(const Json& value, const std::filesystem::path& path) {
  SafetensorsMetadata metadata;
  if (!value.is_object()) return Invalid(path, "__metadata__ is not an object of strings");
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) return Invalid(path, absl::StrCat("__metadata__ \"", key, "\" is not a string"));
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

absl::StatusOr<at::ScalarType> ReadDtype(const Json& value, const std::string& tensor,
                                         const std::filesystem::path& path) {
  if (!value.is_string()) return InvalidTensor(path, tensor, "dtype is missing or not a string");
  for (const Dtype& dtype : kDtypes) {
    if (value.get_ref<const std::string&>() == dtype.name) return dtype.type;
  }
  return absl::UnimplementedError(absl::StrCat(path.string(), ": tensor ", tensor, ": dtype \"",
                                               value.get<std::string>(),
                                               "\" is not supported; supported are ", KnownDtypes()));
}

bool IsListOfUnsigned(const Json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const Json& item) { return item.is_number_unsigned(); });
}

// Bytes of a shape, or an error when they do not fit 62 bits.
absl::StatusOr<uint64_t> BytesOfShape(const SafetensorsEntry& entry, const std::filesystem::path& path) {
  unsigned __int128 bytes = c10::elementSize(entry.dtype);
  for (int64_t size : entry.shape) {
    bytes *= static_cast<uint64_t>(size);
    if (bytes >> 62) return InvalidTensor(path, entry.name, "shape overflows");
  }
  return static_cast<uint64_t>(bytes);
}

absl::StatusOr<SafetensorsEntry> ReadEntry(const std::string& name, const Json& value, uint64_t data_bytes,
                                           const std::filesystem::path& path) {
  SafetensorsEntry entry{.name = name};
  if (!value.is_object()) return InvalidTensor(path, name, "its header entry is not an object");
  REIN_ASSIGN_OR_RETURN(entry.dtype, ReadDtype(value.value("dtype", Json()), name, path));
  const Json shape = value.value("shape", Json());
  if (!IsListOfUnsigned(shape) || shape.size() > 16) {
    return InvalidTensor(path, name, "shape is not a list of at most 16 sizes");
  }
  for (const Json& size : shape) {
    const uint64_t count = size.get<uint64_t>();
    if (count >> 62) return InvalidTensor(path, name, "shape overflows");
    entry.shape.push_back(static_cast<int64_t>(count));
  }
  const Json offsets = value.value("data_offsets", Json());
  if (!IsListOfUnsigned(offsets) || offsets.size() != 2) {
    return InvalidTensor(path, name, "data_offsets are not two numbers");
  }
  entry.begin = offsets[0].get<uint64_t>();
  entry.end = offsets[1].get<uint64_t>();
  if (entry.begin > entry.end || entry.end > data_bytes) {
    return InvalidTensor(path, name,
                         absl::StrCat("bytes ", entry.begin, " to ", entry.end, " lie outside the ",
                                      data_bytes, " bytes of data (truncated file?)"));
  }
  REIN_ASSIGN_OR_RETURN(const uint64_t bytes, BytesOfShape(entry, path));
  if (bytes != entry.end - entry.begin) {
    return InvalidTensor(path, name,
                         absl::StrCat("shape [", absl::StrJoin(entry.shape, ", "), "] needs ", bytes,
                                      " bytes, its offsets span ", entry.end - entry.begin));
  }
  return entry;
}

// Entries cover the data from the first to the last byte, without holes or overlaps.
absl::Status CheckCoverage(std::vector<SafetensorsEntry>& entries, uint64_t data_bytes,
                           const std::filesystem::path& path) {
  std::stable_sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t covered = 0;
  for (const SafetensorsEntry& entry : entries) {
    if (entry.begin < covered) return InvalidTensor(path, entry.name, "its data overlaps another tensor's");
    if (entry.begin > covered) {
      return InvalidTensor(path, entry.name,
                           absl::StrCat(entry.begin - covered, " bytes before it belong to no tensor"));
    }
    covered = entry.end;
  }
  if (covered != data_bytes) {
    return Invalid(path, absl::StrCat(data_bytes - covered, " bytes at its end belong to no tensor"));
  }
  return absl::OkStatus();
}

// Length of the header, between 8 bytes in front and the data.
absl::StatusOr<uint64_t> HeaderBytes(int fd, uint64_t file_bytes, const std::filesystem::path& path) {
  uint64_t header_bytes = 0;
  if (file_bytes < sizeof(header_bytes)) {
    return Invalid(path, absl::StrCat("only ", file_bytes, " bytes long"));
  }
  REIN_RETURN_IF_ERROR(ReadAt(fd, 0, &header_bytes, sizeof(header_bytes), path));
  if (header_bytes > kMaxHeaderBytes) {
    return Invalid(
        path, absl::StrCat("header of ", header_bytes, " bytes, at most ", kMaxHeaderBytes, " are allowed"));
  }
  if (header_bytes > file_bytes - sizeof(header_bytes)) {
    return Invalid(path, absl::StrCat("header of ", header_bytes, " bytes in a file of ", file_bytes));
  }
  return header_bytes;
}

absl::StatusOr<at::Tensor> EmptyTensor(const SafetensorsEntry& entry, const std::filesystem::path& path) {
  try {
    return at::empty(entry.shape, at::TensorOptions(entry.dtype));
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path.string(), ": tensor ", entry.name, ": no memory for it: ", error.what()));
  }
}

absl::Status WriteAll(int fd, const void* from, uint64_t bytes, const std::filesystem::path& path) {
  const char* cursor = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t count = write(fd, cursor, std::min<uint64_t>(bytes, 1 << 30));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return SystemError(errno, "cannot write", path);
    cursor += count;
    bytes -= static_cast<uint64_t>(count);
  }
  return absl::OkStatus();
}

absl::StatusOr<const char*> DtypeName(const std::string& tensor, at::ScalarType type) {
  for (const Dtype& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  return absl::UnimplementedError(absl::StrCat("tensor ", tensor, ": dtype ", c10::toString(type),
                                               " cannot be written; supported are ", KnownDtypes()));
}

// Header with its length in front, padded so that data begins at a multiple of 8.
absl::StatusOr<std::string> MakeHeader(const std::vector<const NamedTensors::value_type*>& ordered,
                                       const SafetensorsMetadata& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadataKey] = metadata;
  std::set<std::string> names = {kMetadataKey};
  uint64_t offset = 0;
  for (const auto* named : ordered) {
    const auto& [name, tensor] = *named;
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("tensor ", name, ": name is reserved or given twice"));
    }
    REIN_ASSIGN_OR_RETURN(const char* dtype, DtypeName(name, tensor.scalar_type()));
    const uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", dtype}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text;
}

absl::Status WriteAndSync(const std::filesystem::path& path, const std::string& header,
                          const std::vector<const NamedTensors::value_type*>& ordered) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError(errno, "cannot create", path);
  auto closer = absl::MakeCleanup([fd] { close(fd); });
  REIN_RETURN_IF_ERROR(WriteAll(fd, header.data(), header.size(), path));
  for (const auto* named : ordered) {
    const at::Tensor tensor = named->second.detach().to(at::kCPU).contiguous();
    REIN_RETURN_IF_ERROR(WriteAll(fd, tensor.data_ptr(), tensor.nbytes(), path));
  }
  if (fsync(fd) != 0) return SystemError(errno, "cannot fsync", path);
  std::move(closer).Cancel();
  return close(fd) == 0 ? absl::OkStatus() : SystemError(errno, "cannot close", path);
}

}  // namespace

SafetensorsFile::SafetensorsFile(SafetensorsFile&& other) noexcept { *this = std::move(other); }

SafetensorsFile& SafetensorsFile::operator=(SafetensorsFile&& other) noexcept {
  path_ = std::move(other.path_);
  std::swap(fd_, other.fd_);  // `other` closes what was open here
  entries_ = std::move(other.entries_);
  metadata_ = std::move(other.metadata_);
  data_begin_ = other.data_begin_;
  file_bytes_ = other.file_bytes_;
  return *this;
}

SafetensorsFile::~SafetensorsFile() {
  if (fd_ >= 0) close(fd_);
}

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::filesystem::path& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return SystemError(errno, "cannot open", path);
  SafetensorsFile file(path, fd);
  REIN_RETURN_IF_ERROR(file.ReadHeader());
  return file;
}

absl::Status SafetensorsFile::ReadHeader() {
  struct stat info;
  if (fstat(fd_, &info) != 0) return SystemError(errno, "cannot stat", path_);
  if (!S_ISREG(info.st_mode)) return Invalid(path_, "it is not a regular file");
  file_bytes_ = static_cast<uint64_t>(info.st_size);
  REIN_ASSIGN_OR_RETURN(const uint64_t header_bytes, HeaderBytes(fd_, file_bytes_, path_));
  std::string text(header_bytes, '\0');
  REIN_RETURN_IF_ERROR(ReadAt(fd_, sizeof(header_bytes), text.data(), header_bytes, path_));
  REIN_ASSIGN_OR_RETURN(const Json header, ParseHeader(text, path_));
  data_begin_ = sizeof(header_bytes) + header_bytes;
  const uint64_t data_bytes = file_bytes_ - data_begin_;
  for (const auto& [name, value] : header.items()) {
    if (name == kMetadataKey) {
      REIN_ASSIGN_OR_RETURN(metadata_, ReadMetadata(value, path_));
      continue;
    }
    REIN_ASSIGN_OR_RETURN(SafetensorsEntry entry, ReadEntry(name, value, data_bytes, path_));
    entries_.push_back(std::move(entry));
  }
  return CheckCoverage(entries_, data_bytes, path_);
}

absl::StatusOr<std::shared_ptr<const MappedFile>> SafetensorsFile::Map() const {
  REIN_ASSIGN_OR_RETURN(std::shared_ptr<const MappedFile> mapping, MappedFile::Map(fd_, path_));
  if (mapping->size() < file_bytes_) return BecameShorter(path_);
  return mapping;
}

absl::Status SafetensorsFile::Read(const SafetensorsEntry& entry, uint64_t first, uint64_t bytes,
                                   void* to) const {
  return ReadAt(fd_, data_begin_ + entry.begin + first, to, bytes, path_);
}

absl::StatusOr<NamedTensors> ReadSafetensors(const std::filesystem::path& path,
                                             SafetensorsMetadata* metadata) {
  REIN_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(path));
  if (metadata != nullptr) *metadata = file.metadata();
  NamedTensors tensors;
  tensors.reserve(file.entries().size());
  for (const SafetensorsEntry& entry : file.entries()) {
    REIN_ASSIGN_OR_RETURN(at::Tensor tensor, EmptyTensor(entry, path));
    REIN_RETURN_IF_ERROR(file.Read(entry, 0, entry.bytes(), tensor.data_ptr()));
    tensors.emplace_back(entry.name, std::move(tensor));
  }
  return tensors;
}

absl::Status WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                              const SafetensorsMetadata& metadata) {
  std::vector<const NamedTensors::value_type*> ordered;
  for (const auto& named : tensors) ordered.push_back(&named);
  std::stable_sort(ordered.begin(), ordered.end(), [](const auto* a, const auto* b) {
    return a->second.element_size() > b->second.element_size();
  });
  auto header = MakeHeader(ordered, metadata);
  if (!header.ok()) return WithContext(header.status(), path.string());
  const std::filesystem::path temporary = absl::StrCat(path.string(), ".", getpid(), ".tmp");
  absl::Status status = WriteAndSync(temporary, *header, ordered);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = SystemError(errno, "cannot rename a temporary file to", path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return Fsync(path.has_parent_path() ? path.parent_path() : std::filesystem::path("."));
}

}  // namespace rein::models
