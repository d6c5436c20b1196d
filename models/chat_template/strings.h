// What filters and methods share on strings.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "models/chat_template/builtins.h"
#include "models/chat_template/value.h"

namespace rein::models::jinja {

// Python's str.replace. `count` is undefined or an integer.
absl::StatusOr<Value> Replace(const std::string& text, const Value& old, const Value& with,
                              const Value& count, Budget* budget);

// The texts of `items` with `separator` between.
absl::StatusOr<Value> Join(const std::vector<Value>& items, absl::string_view separator, Budget* budget);

// As Python's json.dumps writes it with ensure_ascii=False; `indent` below 0 keeps it on one line. Errors:
// INVALID_ARGUMENT (undefined, a namespace or a macro inside).
absl::StatusOr<std::string> ToJson(const Value& value, bool ensure_ascii, int64_t indent);

}  // namespace rein::models::jinja
