// The safetensors format: an 8-byte header length, a JSON header, raw little-endian tensors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/vision_language_model.h"

namespace rein::models {

// The header's "__metadata__": text by name.
using SafetensorsMetadata = std::map<std::string, std::string>;

// All tensors of the file on the CPU, each with storage of its own, in the order of their data. Every byte of
// the file must be accounted for. `metadata`, if given, takes the header's free text. Errors, naming file and
// tensor: NOT_FOUND (no such file), INVALID_ARGUMENT (truncated, header that is no JSON or lies, offsets
// outside, overlapping or with holes, shape and size disagree, name twice), UNIMPLEMENTED (dtype).
absl::StatusOr<NamedTensors> ReadSafetensors(const std::filesystem::path& path,
                                             SafetensorsMetadata* metadata = nullptr);

// Writes a temporary neighbour, fsyncs it and renames it to `path`. Tensors may lie on any device and have
// any strides; wider dtypes go first, so that all data is aligned. Errors: INVALID_ARGUMENT (name twice or
// reserved), UNIMPLEMENTED (dtype), RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (I/O).
absl::Status WriteSafetensors(const std::filesystem::path& path, const NamedTensors& tensors,
                              const SafetensorsMetadata& metadata = {});

}  // namespace rein::models
