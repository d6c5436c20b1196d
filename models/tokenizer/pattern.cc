#include "models/tokenizer/pattern.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/tokenizer/newer_unicode.h"

namespace rein::models {
namespace {

constexpr absl::string_view kSpace =
    R"(\t-\r \x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000})";
constexpr absl::string_view kNotSpace =
    R"(\x{0}-\x{8}\x{E}-\x{1F}!-\x{84}\x{86}-\x{9F}\x{A1}-\x{167F}\x{1681}-\x{1FFF}\x{200B}-\x{2027})"
    R"(\x{202A}-\x{202E}\x{2030}-\x{205E}\x{2060}-\x{2FFF}\x{3001}-\x{10FFFF})";

// Groups that mean the same to both.
constexpr absl::string_view kGroups[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?-i:"};

class Translator {
 public:
  explicit Translator(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<std::string> Run() {
    if (absl::StartsWith(pattern_, "(?i)")) REIN_RETURN_IF_ERROR(Copy(4));
    while (at_ < pattern_.size()) REIN_RETURN_IF_ERROR(in_class_ ? Member() : Item());
    return std::move(out_);
  }

 private:
  absl::Status Refuse(size_t length) const {
    return absl::UnimplementedError(absl::StrCat("pattern \"", pattern_, "\": \"",
                                                 pattern_.substr(at_, length), "\" at byte ", at_,
                                                 " is not supported; write it out"));
  }
  bool Next(absl::string_view text) const { return absl::StartsWith(pattern_.substr(at_), text); }
  absl::Status Copy(size_t length) {
    absl::StrAppend(&out_, pattern_.substr(at_, length));
    at_ += length;
    return absl::OkStatus();
  }
  absl::Status Replace(size_t length, absl::string_view text) {
    absl::StrAppend(&out_, text);
    at_ += length;
    return absl::OkStatus();
  }
  // A class, or part of the one that is open.
  absl::Status Class(size_t length, absl::string_view members) {
    return Replace(length, in_class_ ? std::string(members) : absl::StrCat("[", members, "]"));
  }

  absl::Status Item() {
    switch (pattern_[at_]) {
      case '\\':
        return Escape();
      case '[':
        in_class_ = true;
        return Copy(Next("[^]") ? 3 : Next("[^") || Next("[]") ? 2 : 1);
      case '(':
        return Group();
      case '{':
        return Next("{,") ? Refuse(2) : Copy(1);
      case '}':
        return Next("}+") ? Refuse(2) : Copy(1);
      default:
        return Copy(1);
    }
  }

  absl::Status Member() {
    if (Next("&&") || Next("[")) return Refuse(2);
    if (Next("\\")) return Escape();
    if (Next("]")) in_class_ = false;
    return Copy(1);
  }

  absl::Status Group() {
    if (Next("(*")) return Refuse(2);
    if (!Next("(?")) return Copy(1);
    const auto* known =
        std::find_if(std::begin(kGroups), std::end(kGroups), [&](auto text) { return Next(text); });
    return known == std::end(kGroups) ? Refuse(4) : Copy(known->size());
  }

  absl::Status Escape() {
    if (at_ + 1 == pattern_.size()) return Refuse(1);
    const char letter = pattern_[at_ + 1];
    switch (letter) {
      case 'p':
        return Property();
      case 's':
        return Class(2, kSpace);
      case 'S':
        return Class(2, kNotSpace);
      case 'd':
        return Class(2, absl::StrCat("\\p{Nd}", NewerMembers("Nd")));
      case 'x':
        return CodePoint();
      case 'v':
        return Replace(2, "\\x0B");
      default:
        break;
    }
    const bool same = absl::StrContains("rntfae", letter) || (!in_class_ && absl::StrContains("AzZ", letter));
    return same || !absl::ascii_isalnum(letter) ? Copy(2) : Refuse(2);
  }

  // General categories only: names of scripts take in more in PCRE2, and Cn and Cf have lost members since.
  absl::Status Property() {
    const size_t close = pattern_.find('}', at_);
    const size_t length = std::min(close, at_ + 31) + 1 - at_;
    if (!Next("\\p{") || close == absl::string_view::npos || length > 6) return Refuse(length);
    const absl::string_view name = pattern_.substr(at_ + 3, length - 4);
    const bool is_category =
        !name.empty() && absl::ascii_isupper(name[0]) && (name[0] != 'C' || name == "Cc");
    if (!is_category) return Refuse(length);
    return Class(length, absl::StrCat("\\p{", name, "}", NewerMembers(name)));
  }

  // \x41 or \x{1F600}; above 7F two digits are a byte to Oniguruma.
  absl::Status CodePoint() {
    const bool braces = Next("\\x{");
    const size_t end = braces ? pattern_.find('}', at_) : at_ + 4;
    if (end == absl::string_view::npos || end > pattern_.size() || end > at_ + 9) return Refuse(2);
    const absl::string_view digits = pattern_.substr(at_ + (braces ? 3 : 2), end - at_ - (braces ? 3 : 2));
    const bool is_hex = !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit);
    if (!is_hex || (!braces && digits[0] > '7')) return Refuse(end - at_);
    return Copy(end - at_ + (braces ? 1 : 0));
  }

  absl::string_view pattern_;
  size_t at_ = 0;
  bool in_class_ = false;
  std::string out_;
};

}  // namespace

absl::StatusOr<std::string> ToPcre2(absl::string_view pattern) { return Translator(pattern).Run(); }

}  // namespace rein::models
