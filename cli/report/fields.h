// Fields of JSON objects from outside: whatever is missing or of another type is simply not there.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>

#include "nlohmann/json.hpp"

namespace rein::report {

using Path = std::initializer_list<std::string>;

// The value at the end of the path; nullptr where there is none.
const nlohmann::json* Find(const nlohmann::json& object, Path path);

// A finite number.
std::optional<double> NumberAt(const nlohmann::json& object, Path path);
std::optional<int64_t> IntAt(const nlohmann::json& object, Path path);
// Empty where there is no text.
std::string TextAt(const nlohmann::json& object, Path path);
// An object; an empty one where there is none.
const nlohmann::json& ObjectAt(const nlohmann::json& object, Path path);
// A list; an empty one where there is none.
const nlohmann::json& ListAt(const nlohmann::json& object, Path path);

}  // namespace rein::report
