// YAML files whose schema is a message: types, defaults, ranges and unknown keys come from the message itself
// (see proto/rein/v1/options.proto).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/message.h"
#include "rein/v1/job.pb.h"

namespace rein::transport {

// Reads `file` into `message` (empty before), applies overrides "a.b=c" and "list.0.field=c" in order, fills
// defaults, makes paths absolute against the file's folder (overrides: against the current one) and checks
// every rule. Errors: NOT_FOUND (no such file), INVALID_ARGUMENT (line, key, value, what is allowed; the
// nearest name for an unknown key).
absl::Status ReadYaml(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                      google::protobuf::Message* message);
// The same from text; `base` is the folder that relative paths start from, `origin` the name in errors.
absl::Status ParseYaml(const std::string& text, const std::string& origin, const std::filesystem::path& base,
                       const std::vector<std::string>& overrides, google::protobuf::Message* message);

// Every field, defaults included, in proto order; ReadYaml reads it back to an equal message.
std::string ToYaml(const google::protobuf::Message& message);

// A job with everything that a run needs: rules checked, implied actors added (rollout and reference of the
// policy's model, critics from their scorers), names filled in, and cross-field rules checked (constraints
// match cost actors, thresholds given, ports distinct, window at least one batch, model folders and data
// there).
absl::StatusOr<v1::Job> ReadJob(const std::filesystem::path& file, const std::vector<std::string>& overrides);
// The second half of ReadJob, on a parsed message.
absl::Status CompleteJob(v1::Job* job);

// The first actor of `role` and `name` (any name where empty); nullptr if there is none.
const v1::ActorSpec* FindActor(const v1::Job& job, const std::string& role, const std::string& name = "");

// JSON with proto field names in proto order, enums as names, all fields written; bytes that are not UTF-8
// are replaced.
std::string ToJson(const google::protobuf::Message& message, bool pretty = false);

}  // namespace rein::transport
