// Python's string methods on UTF-8: positions count code points, not bytes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace rein::models::jinja {

// Code points; a byte that is no UTF-8 counts as one.
std::vector<absl::string_view> Characters(absl::string_view text);
int64_t CountCharacters(absl::string_view text);

std::string Upper(absl::string_view text);
std::string Lower(absl::string_view text);
std::string Capitalize(absl::string_view text);  // the first letter large, the others small
std::string Title(absl::string_view text);       // every word's first letter large

// Without the characters of `characters` at its ends; without whitespace when that is empty.
absl::string_view StripLeft(absl::string_view text, absl::string_view characters = "");
absl::string_view StripRight(absl::string_view text, absl::string_view characters = "");

// At runs of whitespace, at most `most` times (-1: no limit).
std::vector<std::string> SplitWhitespace(absl::string_view text, int64_t most);

// `text` as Python's repr() writes it, quotes included.
std::string Quoted(absl::string_view text);

// Appends a code point as UTF-8.
void AppendCharacter(uint32_t character, std::string* text);

}  // namespace rein::models::jinja
