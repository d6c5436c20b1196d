#include "models/json.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"

namespace rein::models {
namespace {

constexpr int kMaxDepth = 64;
constexpr int64_t kMaxKeys = 1 << 14;

// Our JSON type finds a key by looking at all keys of its object: time grows with their square.
class Limits {
 public:
  // False: what comes is left out.
  bool Take(int depth, Json::parse_event_t event) {
    const auto level = static_cast<size_t>(depth);
    too_deep_ = too_deep_ || depth > kMaxDepth;
    if (too_deep_) return false;
    if (event == Json::parse_event_t::object_start) keys_[level + 1] = 0;
    if (event == Json::parse_event_t::key) looks_ += ++keys_[level];
    return !too_many_keys();
  }

  bool too_deep() const { return too_deep_; }
  bool too_many_keys() const { return looks_ > kMaxKeys * (kMaxKeys + 1) / 2; }

 private:
  std::array<int64_t, kMaxDepth + 2> keys_ = {};  // so far, of the object at each level
  int64_t looks_ = 0;
  bool too_deep_ = false;
};

const Json& EmptyObject() {
  static const auto& empty = *new Json(Json::object());
  return empty;
}

}  // namespace

absl::StatusOr<Json> ParseJsonObject(const std::string& text, const std::string& where) {
  Limits limits;
  const auto take = [&](int depth, Json::parse_event_t event, Json&) { return limits.Take(depth, event); };
  Json parsed = Json::parse(text, take, /*allow_exceptions=*/false);
  if (limits.too_deep()) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": nested more than ", kMaxDepth, " levels deep"));
  }
  if (limits.too_many_keys()) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": more keys than can be looked up in good time, which is one object of ", kMaxKeys));
  }
  if (!parsed.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not a JSON object"));
  return parsed;
}

absl::StatusOr<Json> ReadJsonObject(const std::filesystem::path& path, uint64_t max_bytes) {
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, max_bytes));
  return ParseJsonObject(text, path.string());
}

const Json* Fields::Find(const std::string& key) const {
  const auto found = object_->find(key);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

absl::Status Fields::Error(const std::string& key, const std::string& what) const {
  return absl::InvalidArgumentError(absl::StrCat(where_, ": ", key, " ", what));
}

absl::Status Fields::Unsupported(const std::string& key, const std::string& value,
                                 const std::string& supported) const {
  return absl::UnimplementedError(
      absl::StrCat(where_, ": ", key, " \"", value, "\" is not supported; supported: ", supported));
}

absl::StatusOr<int64_t> Fields::Int(const std::string& key, int64_t fallback, int64_t low,
                                    int64_t high) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  const std::string allowed = absl::StrCat("a whole number from ", low, " to ", high, " is needed");
  if (!value->is_number_integer()) return Error(key, absl::StrCat("is ", value->dump(), "; ", allowed));
  const bool wraps = value->is_number_unsigned() && value->get<uint64_t>() > INT64_MAX;
  if (wraps || value->get<int64_t>() < low || value->get<int64_t>() > high) {
    return Error(key, absl::StrCat("is ", value->dump(), "; ", allowed));
  }
  return value->get<int64_t>();
}

absl::StatusOr<double> Fields::Number(const std::string& key, double fallback, double low,
                                      double high) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
    return Error(key,
                 absl::StrCat("is ", value->dump(), "; a number from ", low, " to ", high, " is needed"));
  }
  return value->get<double>();
}

absl::StatusOr<bool> Fields::Bool(const std::string& key, bool fallback) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean())
    return Error(key, absl::StrCat("is ", value->dump(), "; true or false is needed"));
  return value->get<bool>();
}

absl::StatusOr<std::string> Fields::String(const std::string& key, const std::string& fallback) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) return Error(key, absl::StrCat("is ", value->dump(), "; a text is needed"));
  return value->get<std::string>();
}

absl::StatusOr<std::vector<double>> Fields::Numbers(const std::string& key,
                                                    const std::vector<double>& fallback) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  std::vector<double> numbers;
  if (!value->is_array()) return Error(key, "is not a list of numbers");
  for (const Json& item : *value) {
    if (!item.is_number()) return Error(key, "is not a list of numbers");
    numbers.push_back(item.get<double>());
  }
  return numbers;
}

absl::StatusOr<std::vector<int64_t>> Fields::IntOrInts(const std::string& key,
                                                       const std::vector<int64_t>& fallback) const {
  const Json* value = Find(key);
  if (value == nullptr) return fallback;
  if (value->is_number_integer()) return std::vector<int64_t>{value->get<int64_t>()};
  std::vector<int64_t> numbers;
  if (!value->is_array()) return Error(key, "is neither a whole number nor a list of them");
  for (const Json& item : *value) {
    if (!item.is_number_integer()) return Error(key, "is neither a whole number nor a list of them");
    numbers.push_back(item.get<int64_t>());
  }
  return numbers;
}

absl::StatusOr<Fields> Fields::Object(const std::string& key) const {
  const Json* value = Find(key);
  if (value == nullptr) return Fields(EmptyObject(), absl::StrCat(where_, ": ", key));
  if (!value->is_object()) return Error(key, "is not an object");
  return Fields(*value, absl::StrCat(where_, ": ", key));
}

}  // namespace rein::models
