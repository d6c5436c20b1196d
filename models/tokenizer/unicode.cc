#include "models/tokenizer/unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/utf8.h>

#include <array>

namespace rein::models {
namespace {

constexpr char kReplacement[] = "\xEF\xBF\xBD";

// Code points of the byte map: printable bytes stand for themselves, the others follow from 256 on.
std::array<uint32_t, 256> MakeByteCodePoints() {
  std::array<uint32_t, 256> points{};
  uint32_t next = 256;
  for (uint32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    points[byte] = printable ? byte : next++;
  }
  return points;
}

std::string EncodeChar(uint32_t code_point) {
  std::string text;
  if (code_point < 0x80) {
    text.push_back(static_cast<char>(code_point));
  } else {
    text.push_back(static_cast<char>(0xC0 | (code_point >> 6)));
    text.push_back(static_cast<char>(0x80 | (code_point & 0x3F)));
  }
  return text;
}

}  // namespace

std::string SanitizeUtf8(absl::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
  const auto length = static_cast<int64_t>(bytes.size());
  for (int64_t i = 0; i < length;) {
    const int64_t start = i;
    UChar32 code_point = 0;
    U8_NEXT(data, i, length, code_point);
    if (code_point < 0) {
      text.append(kReplacement);
    } else {
      text.append(bytes.data() + start, static_cast<size_t>(i - start));
    }
  }
  return text;
}

size_t CharBytes(absl::string_view text, size_t at) {
  const auto lead = static_cast<uint8_t>(text[at]);
  if (lead < 0x80) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

uint32_t DecodeChar(absl::string_view text, size_t at) {
  const auto* data = reinterpret_cast<const uint8_t*>(text.data());
  auto position = static_cast<int64_t>(at);
  UChar32 code_point = 0;
  U8_NEXT(data, position, static_cast<int64_t>(text.size()), code_point);
  return static_cast<uint32_t>(code_point);
}

std::string NormalizeNfc(const std::string& text) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* normalizer = icu::Normalizer2::getNFCInstance(error);
  if (U_FAILURE(error)) return text;
  const icu::UnicodeString wide = icu::UnicodeString::fromUTF8(text);
  const icu::UnicodeString normalized = normalizer->normalize(wide, error);
  if (U_FAILURE(error)) return text;
  std::string result;
  normalized.toUTF8String(result);
  return result;
}

bool IsUnicodeSpace(uint32_t code_point) { return u_isUWhiteSpace(static_cast<UChar32>(code_point)); }

const std::vector<std::string>& ByteChars() {
  static const auto& chars = *[] {
    auto* made = new std::vector<std::string>;
    for (uint32_t point : MakeByteCodePoints()) made->push_back(EncodeChar(point));
    return made;
  }();
  return chars;
}

std::string ToByteLevel(absl::string_view bytes) {
  std::string text;
  for (char byte : bytes) text.append(ByteChars()[static_cast<uint8_t>(byte)]);
  return text;
}

std::string FromByteLevel(absl::string_view text) {
  static const auto& byte_of = *[] {
    auto* made = new std::array<int, 512>;
    made->fill(-1);
    const auto points = MakeByteCodePoints();
    for (int byte = 0; byte < 256; ++byte) (*made)[points[static_cast<size_t>(byte)]] = byte;
    return made;
  }();
  std::string bytes;
  for (size_t i = 0; i < text.size(); i += CharBytes(text, i)) {
    const uint32_t point = DecodeChar(text, i);
    if (point >= byte_of.size() || byte_of[point] < 0) return std::string(text);
    bytes.push_back(static_cast<char>(byte_of[point]));
  }
  return bytes;
}

}  // namespace rein::models
