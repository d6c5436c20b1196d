// Defaults and checks from the field rules (proto/rein/v1/options.proto).
#pragma once

#include <filesystem>
#include <string>

#include "absl/status/status.h"
#include "google/protobuf/message.h"
#include "rein/v1/options.pb.h"
#include "transport/yaml_to_message.h"

namespace rein::transport {

// Fills fields that were not given, also in nested messages. Errors: INVALID_ARGUMENT (a required field is
// missing).
absl::Status FillDefaults(const std::string& origin, const GivenFields& given,
                          google::protobuf::Message* message);

// Makes path fields absolute against `base`, where `only` is empty or contains their path.
void ResolvePaths(const std::filesystem::path& base, const GivenFields* only,
                  google::protobuf::Message* message);

// Ranges and allowed words. Errors: INVALID_ARGUMENT (path, value, what is allowed).
absl::Status CheckRules(const std::string& origin, const google::protobuf::Message& message);

// A number the shortest way that reads back to the same double.
std::string FormatNumber(double value);

// "at least 1", "more than 0, at most 10 tokens", "one of a, b"; empty where anything goes.
std::string Allowed(const v1::FieldRule& rule);

}  // namespace rein::transport
