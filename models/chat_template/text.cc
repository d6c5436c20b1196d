#include "models/chat_template/text.h"

#include <unicode/locid.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rein::models::jinja {
namespace {

// The code point at `*at`, negative when it is no UTF-8; `*at` moves on.
UChar32 Next(absl::string_view text, size_t* at) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  auto position = static_cast<int64_t>(*at);
  UChar32 character = -1;
  U8_NEXT(bytes, position, static_cast<int64_t>(text.size()), character);
  *at = static_cast<size_t>(position);
  return character;
}

UChar32 First(absl::string_view character) {
  size_t at = 0;
  return Next(character, &at);
}

// Python's str.isspace.
bool IsSpace(absl::string_view text) {
  const UChar32 c = First(text);
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool IsStripped(absl::string_view character, absl::string_view characters) {
  return characters.empty() ? IsSpace(character) : absl::StrContains(characters, character);
}

// Python's str.isprintable.
bool IsPrintable(UChar32 c) {
  if (c == ' ') return true;
  switch (u_charType(c)) {
    case U_CONTROL_CHAR:
    case U_FORMAT_CHAR:
    case U_SURROGATE:
    case U_PRIVATE_USE_CHAR:
    case U_UNASSIGNED:
    case U_LINE_SEPARATOR:
    case U_PARAGRAPH_SEPARATOR:
    case U_SPACE_SEPARATOR:
      return false;
    default:
      return true;
  }
}

icu::UnicodeString ToIcu(absl::string_view text) {
  return icu::UnicodeString::fromUTF8(icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
}

std::string FromIcu(const icu::UnicodeString& text) {
  std::string out;
  text.toUTF8String(out);
  return out;
}

std::string TitleCharacter(absl::string_view character) {
  std::string out;
  const UChar32 c = First(character);
  if (c < 0) return std::string(character);
  AppendCharacter(static_cast<uint32_t>(u_totitle(c)), &out);
  return out;
}

void AppendEscaped(UChar32 c, std::string* out) {
  switch (c) {
    case '\n':
      out->append("\\n");
      break;
    case '\r':
      out->append("\\r");
      break;
    case '\t':
      out->append("\\t");
      break;
    default:
      if (c < 0x100) {
        absl::StrAppendFormat(out, "\\x%02x", c);
      } else if (c < 0x10000) {
        absl::StrAppendFormat(out, "\\u%04x", c);
      } else {
        absl::StrAppendFormat(out, "\\U%08x", c);
      }
  }
}

}  // namespace

std::vector<absl::string_view> Characters(absl::string_view text) {
  std::vector<absl::string_view> characters;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    Next(text, &at);
    characters.push_back(text.substr(begin, at - begin));
  }
  return characters;
}

int64_t CountCharacters(absl::string_view text) {
  int64_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) Next(text, &at);
  return count;
}

std::string Upper(absl::string_view text) { return FromIcu(ToIcu(text).toUpper(icu::Locale::getRoot())); }

std::string Lower(absl::string_view text) { return FromIcu(ToIcu(text).toLower(icu::Locale::getRoot())); }

std::string Capitalize(absl::string_view text) {
  if (text.empty()) return "";
  size_t at = 0;
  Next(text, &at);
  return absl::StrCat(TitleCharacter(text.substr(0, at)), Lower(text.substr(at)));
}

std::string Title(absl::string_view text) {
  std::string out;
  bool in_word = false;
  for (absl::string_view character : Characters(text)) {
    absl::StrAppend(&out, in_word ? Lower(character) : TitleCharacter(character));
    const UChar32 c = First(character);
    in_word = c >= 0 && u_isalpha(c);
  }
  return out;
}

absl::string_view StripLeft(absl::string_view text, absl::string_view characters) {
  size_t at = 0;
  while (at < text.size()) {
    size_t end = at;
    Next(text, &end);
    if (!IsStripped(text.substr(at, end - at), characters)) break;
    at = end;
  }
  return text.substr(at);
}

absl::string_view StripRight(absl::string_view text, absl::string_view characters) {
  size_t end = text.size();
  while (end > 0) {
    size_t begin = end - 1;
    while (begin > 0 && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!IsStripped(text.substr(begin, end - begin), characters)) break;
    end = begin;
  }
  return text.substr(0, end);
}

std::vector<std::string> SplitWhitespace(absl::string_view text, int64_t most) {
  std::vector<std::string> words;
  text = StripLeft(text);
  while (!text.empty() && (most < 0 || static_cast<int64_t>(words.size()) < most)) {
    size_t end = 0, next = 0;
    while (end < text.size()) {
      Next(text, &next);
      if (IsSpace(text.substr(end, next - end))) break;
      end = next;
    }
    words.emplace_back(text.substr(0, end));
    text = StripLeft(text.substr(end));
  }
  if (!text.empty()) words.emplace_back(StripRight(text));
  return words;
}

std::string Quoted(absl::string_view text) {
  const char quote = absl::StrContains(text, "'") && !absl::StrContains(text, "\"") ? '"' : '\'';
  std::string out(1, quote);
  for (absl::string_view character : Characters(text)) {
    const UChar32 c = First(character);
    if (c == quote || c == '\\') {
      absl::StrAppend(&out, "\\", character);
    } else if (c >= 0 && !IsPrintable(c)) {
      AppendEscaped(c, &out);
    } else {
      absl::StrAppend(&out, character);
    }
  }
  out.push_back(quote);
  return out;
}

void AppendCharacter(uint32_t character, std::string* text) {
  icu::UnicodeString(static_cast<UChar32>(character)).toUTF8String(*text);
}

}  // namespace rein::models::jinja
