#include "models/tokenizer/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "models/tokenizer/newer_unicode.h"

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

const icu::Normalizer2* Unfiltered(NormalForm form, UErrorCode& error) {
  switch (form) {
    case NormalForm::kC:
      return icu::Normalizer2::getNFCInstance(error);
    case NormalForm::kD:
      return icu::Normalizer2::getNFDInstance(error);
    case NormalForm::kKC:
      return icu::Normalizer2::getNFKCInstance(error);
    case NormalForm::kKD:
      return icu::Normalizer2::getNFKDInstance(error);
  }
  return nullptr;
}

// nullptr where ICU lacks its data.
const icu::Normalizer2* MakeNormalizer(NormalForm form) {
  UErrorCode error = U_ZERO_ERROR;
  static const auto& known = *[&] {
    auto* set = new icu::UnicodeSet(u"[:age=9.0:]", error);
    set->freeze();
    return set;
  }();
  const icu::Normalizer2* all = Unfiltered(form, error);
  return U_FAILURE(error) ? nullptr : new icu::FilteredNormalizer2(*all, known);
}

const icu::Normalizer2* NormalizerOf(NormalForm form) {
  static const std::array<const icu::Normalizer2*, 4> normalizers = {
      MakeNormalizer(NormalForm::kC), MakeNormalizer(NormalForm::kD), MakeNormalizer(NormalForm::kKC),
      MakeNormalizer(NormalForm::kKD)};
  return normalizers[static_cast<size_t>(form)];
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

absl::string_view CompleteUtf8(absl::string_view bytes) {
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const auto byte = static_cast<uint8_t>(bytes[bytes.size() - back]);
    if (byte < 0x80) break;
    if (byte < 0xC0) continue;
    const bool incomplete = byte < 0xF8 && CharBytes(bytes, bytes.size() - back) > back;
    return incomplete ? bytes.substr(0, bytes.size() - back) : bytes;
  }
  return bytes;
}

size_t CharBefore(absl::string_view text, size_t end) {
  do {
    --end;
  } while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xC0) == 0x80);
  return end;
}

std::string Normalize(NormalForm form, const std::string& text) {
  // Nothing below this lead byte changes or combines: U+0300 in form C, no ASCII in any.
  const uint8_t inert = form == NormalForm::kC ? 0xCC : 0x80;
  if (std::all_of(text.begin(), text.end(), [&](char byte) { return static_cast<uint8_t>(byte) < inert; })) {
    return text;
  }
  const icu::Normalizer2* normalizer = NormalizerOf(form);
  std::string result;
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  UErrorCode error = U_ZERO_ERROR;
  if (normalizer != nullptr) normalizer->normalizeUTF8(0, text, sink, nullptr, error);
  return normalizer == nullptr || U_FAILURE(error) ? text : result;
}

bool IsUnicodeSpace(uint32_t code_point) { return u_isUWhiteSpace(static_cast<UChar32>(code_point)) != 0; }

bool IsNumeric(uint32_t code_point) {
  if (code_point < 0x80) return absl::ascii_isdigit(static_cast<unsigned char>(code_point));
  if ((U_GET_GC_MASK(static_cast<UChar32>(code_point)) & U_GC_N_MASK) != 0) return true;
  const bool unicode17 =
      (code_point >= 0x11DE0 && code_point <= 0x11DE9) || (code_point >= 0x16FF4 && code_point <= 0x16FF6);
  return unicode17 || absl::StartsWith(NewerCategory(code_point), "N");
}

bool IsPunctuation(uint32_t code_point) {
  if (code_point < 0x80) return absl::ascii_ispunct(static_cast<unsigned char>(code_point));
  if (code_point == 0x166D || code_point == 0x111C9) return true;  // no longer
  UVersionInfo age;
  u_charAge(static_cast<UChar32>(code_point), age);
  return age[0] <= 8 && (U_GET_GC_MASK(static_cast<UChar32>(code_point)) & U_GC_P_MASK) != 0;
}

bool IsWordChar(uint32_t code_point) {
  constexpr uint32_t kCategories = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  const auto point = static_cast<UChar32>(code_point);
  if (u_hasBinaryProperty(point, UCHAR_ALPHABETIC) || (U_GET_GC_MASK(point) & kCategories) != 0) return true;
  const absl::string_view newer = NewerCategory(code_point);
  const bool newer_word =
      !newer.empty() && (newer[0] == 'L' || newer[0] == 'M' || newer == "Nd" || newer == "Nl");
  return newer_word || code_point == 0x200C || code_point == 0x200D;
}

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
  text.reserve(2 * bytes.size());
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
