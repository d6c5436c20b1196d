#include "cli/report/fields.h"

#include <cmath>

namespace rein::report {

using nlohmann::json;

const json* Find(const json& object, Path path) {
  const json* value = &object;
  for (const std::string& key : path) {
    if (!value->is_object()) return nullptr;
    const auto found = value->find(key);
    if (found == value->end()) return nullptr;
    value = &*found;
  }
  return value;
}

std::optional<double> NumberAt(const json& object, Path path) {
  const json* value = Find(object, path);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double number = value->get<double>();
  return std::isfinite(number) ? std::optional<double>(number) : std::nullopt;
}

std::optional<int64_t> IntAt(const json& object, Path path) {
  const json* value = Find(object, path);
  if (value == nullptr || !value->is_number_integer()) return std::nullopt;
  return value->get<int64_t>();
}

std::string TextAt(const json& object, Path path) {
  const json* value = Find(object, path);
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

const json& ObjectAt(const json& object, Path path) {
  static const json empty = json::object();
  const json* value = Find(object, path);
  return value != nullptr && value->is_object() ? *value : empty;
}

const json& ListAt(const json& object, Path path) {
  static const json empty = json::array();
  const json* value = Find(object, path);
  return value != nullptr && value->is_array() ? *value : empty;
}

}  // namespace rein::report
