// Files of a checkpoint: sizes and checksums.
#pragma once

#include <filesystem>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_ptr_field.h"
#include "rein/v1/trainable.pb.h"

namespace rein::host {

// Every file below root/subfolder, in name order, with size and CRC32C, its path relative to `root`; files
// and folders are fsynced. Errors: those of reading and of fsync (RESOURCE_EXHAUSTED: disk full).
absl::StatusOr<std::vector<v1::SavedFile>> SealFiles(const std::filesystem::path& root,
                                                     const std::filesystem::path& subfolder);

// Reads every file again. Errors, naming the file: NOT_FOUND, DATA_LOSS (size or checksum differ),
// INVALID_ARGUMENT (a path that leaves `root`).
absl::Status CheckFiles(const std::filesystem::path& root,
                        const google::protobuf::RepeatedPtrField<v1::SavedFile>& files);

}  // namespace rein::host
