// The bytes of a file as memory of this process.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"

namespace rein::models {

// A private mapping of a whole file: pages are the file's until this process writes to them, which never
// reaches the file. A file that is replaced under its name stays as it was; one that becomes shorter or whose
// disk fails ends the process at the next access to a lost page, with its path on standard error.
// Thread-safe.
class MappedFile {
 public:
  // `fd` may be closed afterwards; `path` is for messages. Errors, none of them a reason not to read the file
  // instead: UNIMPLEMENTED (not on a local file system, where another host may take pages away),
  // RESOURCE_EXHAUSTED (address space, or too many mapped files).
  static absl::StatusOr<std::shared_ptr<const MappedFile>> Map(int fd, const std::filesystem::path& path);

  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  // Page-aligned.
  char* data() const { return data_; }
  uint64_t size() const { return size_; }

 private:
  MappedFile(char* data, uint64_t size, size_t region) : data_(data), size_(size), region_(region) {}

  char* data_;
  uint64_t size_;
  size_t region_;
};

// Brings the pages of `bytes` mapped bytes in with one call, where the kernel can (Linux 5.14); else they
// come one by one when they are used.
void Populate(const void* from, uint64_t bytes);

}  // namespace rein::models
