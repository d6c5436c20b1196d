// Renders the tree of a chat template.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "models/chat_template/builtins.h"
#include "models/chat_template/syntax.h"

namespace rein::models::jinja {

struct Limits {
  int64_t work = 20'000'000;  // steps, and bytes that are made or looked through
  int64_t output_bytes = 16 << 20;
  int macro_calls = 10;  // inside one another
};

// `globals` are the names that the template sees. Errors: INVALID_ARGUMENT "line N: ..." (a value of the
// wrong kind; raise_exception), RESOURCE_EXHAUSTED (a limit).
absl::StatusOr<std::string> Render(const std::vector<Statement>& body,
                                   std::vector<std::pair<std::string, Value>> globals, absl::Time now,
                                   const Limits& limits = {});

}  // namespace rein::models::jinja
