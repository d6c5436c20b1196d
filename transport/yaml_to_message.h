// YAML nodes into messages, by reflection.
#pragma once

#include <set>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "yaml-cpp/yaml.h"

namespace rein::transport {

// Paths of the fields that were given, e.g. "actors.0.role": what is not among them takes its default.
using GivenFields = std::set<std::string>;

// Where a value stands, for errors.
struct YamlPlace {
  std::string origin;  // file name, or the override
  std::string path;    // dotted path of the message; empty at the top

  std::string Of(const std::string& field) const { return path.empty() ? field : path + "." + field; }
};

// Converts the map `node` into `message`. Errors: INVALID_ARGUMENT (line, path, value, what is allowed).
absl::Status YamlToMessage(const YAML::Node& node, const YamlPlace& place, google::protobuf::Message* message,
                           GivenFields* given);

// Sets what `path` ("a.b", "list.0.c") names to `node`.
absl::Status SetByPath(const std::string& path, const YAML::Node& node, const std::string& origin,
                       google::protobuf::Message* message, GivenFields* given);

}  // namespace rein::transport
