// The files of a Hugging Face model folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/safetensors.h"
#include "models/vision_language_model.h"

namespace rein::models {

// Configuration and tokenizer files by name.
using SideFiles = std::map<std::string, std::string>;

// The known side files that the folder has. Errors: NOT_FOUND (no folder, no config.json), RESOURCE_EXHAUSTED
// (a file over 64 MiB).
absl::StatusOr<SideFiles> ReadSideFiles(const std::filesystem::path& folder);

// The weight files of a folder, single or listed by the index, in the order of their names. Errors:
// NOT_FOUND, INVALID_ARGUMENT (bad index), UNIMPLEMENTED (only pickles: says how to convert).
absl::StatusOr<std::vector<std::filesystem::path>> WeightFiles(const std::filesystem::path& folder);

// The same files, opened, their headers checked; where there is an index, each tensor must be listed there
// with its file. Errors, naming file and tensor: those of WeightFiles and SafetensorsFile::Open,
// INVALID_ARGUMENT (files and index disagree).
absl::StatusOr<std::vector<SafetensorsFile>> OpenWeights(const std::filesystem::path& folder);

// model.safetensors, or shards with an index when they exceed `max_shard_bytes`; fsynced.
absl::Status WriteWeights(const NamedTensors& tensors, const std::filesystem::path& folder,
                          int64_t max_shard_bytes);

}  // namespace rein::models
