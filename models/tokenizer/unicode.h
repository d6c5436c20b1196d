// Characters, normalisation forms and the byte map of tokenizers.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace rein::models {

// Replaces what is not UTF-8 by U+FFFD, one for every maximal broken piece.
std::string SanitizeUtf8(absl::string_view bytes);

// The start of `bytes` that cannot change when more bytes follow: all but a character that is still
// incomplete.
absl::string_view CompleteUtf8(absl::string_view bytes);

// Of valid UTF-8: the character that begins at text[at], its length, and where the character before `end`
// begins.
uint32_t DecodeChar(absl::string_view text, size_t at);
size_t CharBytes(absl::string_view text, size_t at);
size_t CharBefore(absl::string_view text, size_t end);

// Normalisation forms of valid UTF-8, by the tables of Unicode 9.0: so do the tokenizers that models were
// trained with. Characters newer than that stay as they are.
enum class NormalForm { kC, kD, kKC, kKD };
std::string Normalize(NormalForm form, const std::string& text);

bool IsUnicodeSpace(uint32_t code_point);
// Of general category N, in Unicode 17.0.
bool IsNumeric(uint32_t code_point);
// ASCII punctuation, and general category P in Unicode 8.0.
bool IsPunctuation(uint32_t code_point);
// Letters, marks, decimal digits, connectors and joiners: \w of Unicode.
bool IsWordChar(uint32_t code_point);

// GPT-2's map from bytes to printable characters: ByteChars()[b] is one or two bytes of UTF-8 below U+0144.
const std::vector<std::string>& ByteChars();
std::string ToByteLevel(absl::string_view bytes);
// Back to bytes; a text with a character outside the map is returned as it is.
std::string FromByteLevel(absl::string_view text);

}  // namespace rein::models
