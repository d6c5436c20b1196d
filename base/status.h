// Macros for code that returns absl::Status or absl::StatusOr.
#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

#define REIN_CONCAT_INNER(a, b) a##b
#define REIN_CONCAT(a, b) REIN_CONCAT_INNER(a, b)

// Returns from the enclosing function when `expression` is not OK.
#define REIN_RETURN_IF_ERROR(expression)                                                \
  do {                                                                                  \
    if (absl::Status rein_status = (expression); !rein_status.ok()) return rein_status; \
  } while (false)

// REIN_ASSIGN_OR_RETURN(auto x, F()): assigns the value, or returns the error.
#define REIN_ASSIGN_OR_RETURN(target, expression) \
  REIN_ASSIGN_OR_RETURN_INNER(REIN_CONCAT(rein_value_, __LINE__), target, expression)
#define REIN_ASSIGN_OR_RETURN_INNER(value, target, expression) \
  auto value = (expression);                                   \
  if (!value.ok()) return std::move(value).status();           \
  target = *std::move(value)

namespace rein {

// The same status code with "`context`: " in front of the message; OK stays OK.
inline absl::Status WithContext(const absl::Status& status, const std::string& context) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(context, ": ", status.message()));
}

}  // namespace rein
