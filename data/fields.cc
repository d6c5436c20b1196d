#include "data/fields.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "data/formats.h"

namespace rein::data {

using nlohmann::json;

std::optional<std::string> TextOf(const json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>();
  if (value.is_binary()) return std::string(value.get_binary().begin(), value.get_binary().end());
  return std::nullopt;
}

std::optional<int64_t> IntOf(const json& value) {
  if (value.is_number()) {
    const double number = value.get<double>();
    if (!(std::abs(number) <= 1e15) || std::nearbyint(number) != number) return std::nullopt;
    return static_cast<int64_t>(number);
  }
  int64_t number = 0;
  const std::optional<std::string> text = TextOf(value);
  if (!text || !absl::SimpleAtoi(*text, &number)) return std::nullopt;
  return number;
}

std::optional<bool> YesNoOf(const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (const std::optional<std::string> text = TextOf(value)) {
    const std::string word = absl::AsciiStrToLower(*text);
    if (word == "yes" || word == "true") return true;
    if (word == "no" || word == "false") return false;
  }
  const std::optional<int64_t> number = IntOf(value);
  if (number == 0) return false;
  if (number == 1) return true;
  return std::nullopt;
}

const json* Fields::Find(const std::string& name) const {
  const auto value = record_.find(NameInFile(columns_, name));
  return value == record_.end() || value->is_null() ? nullptr : &*value;
}

std::optional<std::string> Fields::OptionalText(const std::string& name) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  std::optional<std::string> text = TextOf(*value);
  if (!text) Drop(absl::StrCat(name, " is not text"));
  return text;
}

std::string Fields::Text(const std::string& name, const std::string& what) {
  std::optional<std::string> text = OptionalText(name);
  if (!text) Drop(absl::StrCat("no ", what));
  return text.value_or("");
}

std::optional<int> Fields::Int(const std::string& name, int low, int high, const std::string& reason) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<int64_t> number = IntOf(*value);
  if (number && *number >= low && *number <= high) return static_cast<int>(*number);
  Drop(reason);
  return std::nullopt;
}

std::optional<bool> Fields::YesNo(const std::string& name, const std::string& reason) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  const std::optional<bool> is_yes = YesNoOf(*value);
  if (!is_yes) Drop(reason);
  return is_yes;
}

}  // namespace rein::data
