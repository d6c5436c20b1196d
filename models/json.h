// Reading configuration files: every wrong value is an error that names file, key and what is allowed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "nlohmann/json.hpp"

namespace rein::models {

using Json = nlohmann::ordered_json;

// The object in a JSON file. Errors: NOT_FOUND, RESOURCE_EXHAUSTED (over `max_bytes`), INVALID_ARGUMENT (no
// JSON object, nested too deeply, over 16384 keys in an object).
absl::StatusOr<Json> ReadJsonObject(const std::filesystem::path& path, uint64_t max_bytes);
absl::StatusOr<Json> ParseJsonObject(const std::string& text, const std::string& where);

// A view of an object with its place for messages. Missing keys and null give the fallback.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(&object), where_(std::move(where)) {}

  // The value, or nullptr when it is missing or null.
  const Json* Find(const std::string& key) const;
  bool Has(const std::string& key) const { return Find(key) != nullptr; }

  absl::StatusOr<int64_t> Int(const std::string& key, int64_t fallback, int64_t low, int64_t high) const;
  absl::StatusOr<double> Number(const std::string& key, double fallback, double low, double high) const;
  absl::StatusOr<bool> Bool(const std::string& key, bool fallback) const;
  absl::StatusOr<std::string> String(const std::string& key, const std::string& fallback) const;
  absl::StatusOr<std::vector<double>> Numbers(const std::string& key,
                                              const std::vector<double>& fallback) const;
  // One number or a list of numbers.
  absl::StatusOr<std::vector<int64_t>> IntOrInts(const std::string& key,
                                                 const std::vector<int64_t>& fallback) const;
  // A missing object is an empty one.
  absl::StatusOr<Fields> Object(const std::string& key) const;

  // INVALID_ARGUMENT "where: key ...".
  absl::Status Error(const std::string& key, const std::string& what) const;
  absl::Status Unsupported(const std::string& key, const std::string& value,
                           const std::string& supported) const;
  const std::string& where() const { return where_; }
  const Json& json() const { return *object_; }

 private:
  const Json* object_;
  std::string where_;
};

}  // namespace rein::models
