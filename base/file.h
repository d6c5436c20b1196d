// Files that survive a crash: whole or not there.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein {

// The whole file. Errors: NOT_FOUND (no such file), RESOURCE_EXHAUSTED (larger than `max_bytes`), UNAVAILABLE
// (read error).
absl::StatusOr<std::string> ReadFile(const std::filesystem::path& path,
                                     uint64_t max_bytes = uint64_t{1} << 30);

// SHA-256 of a file of any size, as Sha256Hex gives it. Errors: NOT_FOUND, UNAVAILABLE (read error).
absl::StatusOr<std::string> FileSha256(const std::filesystem::path& path);

// Writes `contents` to a temporary neighbour, fsyncs it, renames it to `path` and fsyncs the folder.
// Errors: RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (any other I/O error); `path` then keeps what it had.
absl::Status WriteFileAtomically(const std::filesystem::path& path, absl::string_view contents);

// Makes a file's or folder's content durable.
absl::Status Fsync(const std::filesystem::path& path);

// Creates the folder and its parents; OK when it is there already.
absl::Status MakeFolder(const std::filesystem::path& path);

// The error of a failed system call on `path`, from `error_number` (errno): ENOSPC and EDQUOT are
// RESOURCE_EXHAUSTED.
absl::Status SystemError(int error_number, absl::string_view what, const std::filesystem::path& path);

}  // namespace rein
