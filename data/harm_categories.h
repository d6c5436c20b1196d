// The 20 kinds of harm of BeaverTails-V, and its levels.
#pragma once

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace rein::data {

// As the data set names them, in alphabetical order.
absl::Span<const absl::string_view> HarmCategories();

// "safe", "minor", "moderate", "severe".
absl::Span<const absl::string_view> HarmLevels();

}  // namespace rein::data
