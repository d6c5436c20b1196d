// Text from outside, made harmless for the formats that reports are written in.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace rein::report {

// For text and attribute values of HTML and SVG; control characters that XML forbids are left out.
std::string EscapeMarkup(absl::string_view text);

// For a cell of a Markdown table, on one line.
std::string EscapeMarkdown(absl::string_view text);

}  // namespace rein::report
