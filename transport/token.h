// The job token: a secret in a file that only its owner can read, sent with every RPC.
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace rein::transport {

// Metadata key under which the token travels.
inline constexpr char kTokenKey[] = "rein-token";

// Draws 256 random bits, writes them as hex to `path` with mode 0600, and returns them. An existing token is
// kept.
absl::StatusOr<std::string> MakeToken(const std::filesystem::path& path);

// Errors: NOT_FOUND, PERMISSION_DENIED (others than the owner may read the file: chmod 600), INVALID_ARGUMENT
// (not a token).
absl::StatusOr<std::string> ReadToken(const std::filesystem::path& path);

}  // namespace rein::transport
