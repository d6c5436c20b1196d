// From the text of a chat template to its tree.
#pragma once

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "models/chat_template/syntax.h"

namespace rein::models::jinja {

// Errors: INVALID_ARGUMENT "line N: ..." (broken), UNIMPLEMENTED (names the tag, filter, test, function or
// method that is not supported, and those that are), RESOURCE_EXHAUSTED (nested too deeply).
absl::StatusOr<std::vector<Statement>> Parse(absl::string_view source);

}  // namespace rein::models::jinja
