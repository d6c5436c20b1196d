// The safetensors format: an 8-byte header length, a JSON header, raw little-endian tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/mapped_file.h"
#include "models/vision_language_model.h"

namespace rein::models {

// The header's "__metadata__": text by name.
using SafetensorsMetadata = std::map<std::string, std::string>;

// A tensor as the header describes it.
struct SafetensorsEntry {
  std::string name;
  at::ScalarType dtype = at::kFloat;
  std::vector<int64_t> shape;
  uint64_t begin = 0;  // bytes, from the end of the header
  uint64_t end = 0;

  uint64_t bytes() const { return end - begin; }
};

// An open file whose header has been read and checked; data is mapped or read where and when it is wanted
// (docs/decisions/0014-map-weights-or-read-them.md). Thread-safe.
class SafetensorsFile {
 public:
  // Every byte of the file must be accounted for. Errors, naming file and tensor: NOT_FOUND (no such file),
  // INVALID_ARGUMENT (truncated, header that is no JSON or lies, offsets outside, overlapping or with holes,
  // shape and size disagree, name twice), UNIMPLEMENTED (dtype).
  static absl::StatusOr<SafetensorsFile> Open(const std::filesystem::path& path);

  SafetensorsFile(SafetensorsFile&& other) noexcept;
  SafetensorsFile& operator=(SafetensorsFile&& other) noexcept;
  ~SafetensorsFile();

  const std::filesystem::path& path() const { return path_; }
  // In the order of their data.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const SafetensorsMetadata& metadata() const { return metadata_; }

  // Copies `bytes` bytes of the entry's data, from its byte `first` on, to `to`. Errors: INVALID_ARGUMENT
  // (the file became shorter), UNAVAILABLE (I/O).
  absl::Status Read(const SafetensorsEntry& entry, uint64_t first, uint64_t bytes, void* to) const;
  // Of the entry's first byte, from the start of the file.
  uint64_t OffsetOf(const SafetensorsEntry& entry) const { return data_begin_ + entry.begin; }
  // The whole file; it outlives this object. Errors: those of MappedFile::Map, INVALID_ARGUMENT (the file
  // became shorter).
  absl::StatusOr<std::shared_ptr<const MappedFile>> Map() const;

 private:
  SafetensorsFile(std::filesystem::path path, int fd) : path_(std::move(path)), fd_(fd) {}
  absl::Status ReadHeader();

  std::filesystem::path path_;
  int fd_ = -1;
  std::vector<SafetensorsEntry> entries_;
  SafetensorsMetadata metadata_;
  uint64_t data_begin_ = 0;
  uint64_t file_bytes_ = 0;
};

// All tensors of the file on the CPU, each with storage of its own, in the order of their data. `metadata`,
// if given, takes the header's free text. Errors: those of SafetensorsFile; RESOURCE_EXHAUSTED (memory).
absl::StatusOr<NamedTensors> ReadSafetensors(const std::filesystem::path& path,
                                             SafetensorsMetadata* metadata = nullptr);

// Writes a temporary neighbour, fsyncs it and renames it to `path`. Tensors may lie on any device and have
// any strides; they are brought to the CPU one at a time; wider dtypes go first, so that all data is aligned.
// Errors: INVALID_ARGUMENT (name twice or reserved), UNIMPLEMENTED (dtype), RESOURCE_EXHAUSTED (disk full),
// UNAVAILABLE (I/O).
absl::Status WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                              const SafetensorsMetadata& metadata = {});

}  // namespace rein::models
