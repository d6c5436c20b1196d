// Patterns of tokenizer.json: written for Oniguruma, run by PCRE2.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::models {

// The same pattern for PCRE2 in its UTF, UCP and multi-line modes. Classes get the meaning they have in
// Oniguruma: \s without U+180E, \v a vertical tab, properties with the code points of newer Unicode. Errors:
// UNIMPLEMENTED (a construct whose meaning differs, such as \w, nested classes or {,n}; names it and its
// place).
absl::StatusOr<std::string> ToPcre2(absl::string_view pattern);

}  // namespace rein::models
