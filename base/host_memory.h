// Memory that processes of this host can still take.
#pragma once

#include <cstdint>
#include <filesystem>

#include "absl/status/statusor.h"

namespace rein {

// Bytes: what /proc/meminfo says is available, or what the memory limits of this process's cgroup and of
// those above it leave (version 1 or 2; what the page cache could give back counts as left), whichever is
// less. `root` stands for /, for tests. Errors: UNAVAILABLE (/proc/meminfo says nothing).
absl::StatusOr<int64_t> AvailableHostMemory(const std::filesystem::path& root = "/");

}  // namespace rein
