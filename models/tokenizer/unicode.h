// UTF-8 helpers of the tokenizer.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace rein::models {

// Replaces what is not UTF-8 by U+FFFD, one for every maximal broken piece.
std::string SanitizeUtf8(absl::string_view bytes);

// Bytes of the character that begins at text[at]; `text` is valid UTF-8.
size_t CharBytes(absl::string_view text, size_t at);

// Unicode normalisation form C of valid UTF-8.
std::string NormalizeNfc(const std::string& text);

bool IsUnicodeSpace(uint32_t code_point);
uint32_t DecodeChar(absl::string_view text, size_t at);

// GPT-2's map from bytes to printable characters: byte_chars()[b] is one or two bytes of UTF-8.
const std::vector<std::string>& ByteChars();
std::string ToByteLevel(absl::string_view bytes);
// Back to bytes; a text with a character outside the map is returned as it is.
std::string FromByteLevel(absl::string_view text);

}  // namespace rein::models
