// Code points that Unicode assigned after version 14, the one of PCRE2 10.42: the tokenizers that models were
// trained with know them.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace rein::models {

// What a class for `property`, a general category such as "L" or "Nd", needs besides \p{...}: text for the
// inside of a character class. Empty for other properties.
std::string NewerMembers(absl::string_view property);

// The general category; empty when the code point is older, or has none yet.
absl::string_view NewerCategory(uint32_t code_point);

}  // namespace rein::models
