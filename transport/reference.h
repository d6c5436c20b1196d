// Reference pages from the proto files and their comments.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace rein::transport {

// Markdown of message `type` ("rein.v1.Job") and of those in it, one table a message. `descriptors`:
// serialized FileDescriptorSet with source info (protoc --include_source_info). Errors: INVALID_ARGUMENT,
// NOT_FOUND (no such type).
absl::StatusOr<std::string> MessageReference(const std::string& descriptors, const std::string& type);

// The whole page docs/reference/job-file.md.
absl::StatusOr<std::string> JobFilePage(const std::string& descriptors);

}  // namespace rein::transport
