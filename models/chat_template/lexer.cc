#include "models/chat_template/lexer.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

using Kind = Token::Kind;

constexpr absl::string_view kTwoCharacterOperators[] = {"//", "**", "==", "!=", ">=", "<="};
constexpr absl::string_view kOperators = "+-*/%~<>=()[]{}.,:|;";

bool IsNameStart(char c) { return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsDigit(char c) { return absl::ascii_isdigit(static_cast<unsigned char>(c)); }
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

class Lexer {
 public:
  explicit Lexer(absl::string_view source) : source_(source) {}

  absl::StatusOr<std::vector<Token>> Run() {
    while (at_ < source_.size()) REIN_RETURN_IF_ERROR(ReadTextAndTag());
    Push(Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  absl::Status Error(const std::string& message) const {
    return AtLine(line_, absl::InvalidArgumentError(message));
  }
  absl::string_view rest() const { return source_.substr(at_); }

  void Advance(size_t count) {
    const absl::string_view passed = source_.substr(at_, count);
    line_ += static_cast<int>(std::count(passed.begin(), passed.end(), '\n'));
    at_ += count;
  }

  void Push(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }

  size_t FindTag() const {
    for (size_t i = at_; i + 1 < source_.size(); ++i) {
      if (source_[i] == '{' && absl::StrContains("{%#", source_.substr(i + 1, 1))) return i;
    }
    return absl::string_view::npos;
  }

  // "{%-" takes all whitespace before it; "{%" and "{#" what stands before them on their line, unless "+"
  // forbids it.
  absl::string_view TrimBeforeTag(absl::string_view text, absl::string_view tag) const {
    const char sign = tag.size() > 2 ? tag[2] : ' ';
    if (sign == '-') return StripRight(text);
    if (sign == '+' || tag[1] == '{') return text;
    const size_t newline = text.rfind('\n');
    if (newline == absl::string_view::npos && !line_begins_) return text;
    const size_t line = newline == absl::string_view::npos ? 0 : newline + 1;
    return StripLeft(text.substr(line)).empty() ? text.substr(0, line) : text;
  }

  absl::Status ReadTextAndTag() {
    const size_t tag = FindTag();
    if (tag == absl::string_view::npos) {
      Push(Kind::kText, std::string(rest()));
      Advance(rest().size());
      return absl::OkStatus();
    }
    const absl::string_view text = source_.substr(at_, tag - at_);
    if (const absl::string_view kept = TrimBeforeTag(text, source_.substr(tag)); !kept.empty())
      Push(Kind::kText, std::string(kept));
    Advance(text.size());
    const char kind = source_[at_ + 1];
    const bool sign = at_ + 2 < source_.size() && (source_[at_ + 2] == '-' || source_[at_ + 2] == '+');
    if (kind != '#') Push(kind == '%' ? Kind::kBlockBegin : Kind::kPrintBegin, "");
    Advance(sign ? 3 : 2);
    if (kind == '#') return SkipComment();
    return ReadTag(kind == '%' ? "%}" : "}}", kind == '%');
  }

  // Behind the end of a tag: "-" takes all whitespace, a block without "+" one newline.
  void EndTag(char sign, bool block) {
    size_t count = 0;
    if (sign == '-') {
      count = rest().size() - StripLeft(rest()).size();
    } else if (block && sign != '+' && absl::StartsWith(rest(), "\n")) {
      count = 1;
    }
    Advance(count);
    line_begins_ = at_ > 0 && source_[at_ - 1] == '\n';
  }

  absl::Status SkipComment() {
    const size_t end = source_.find("#}", at_);
    if (end == absl::string_view::npos) return Error("a comment has no end \"#}\"");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    Advance(end + 2 - at_);
    EndTag(sign, /*block=*/true);
    return absl::OkStatus();
  }

  // The end of a tag at this place: its length, 0 for none. Inside braces "}}" closes two of them.
  size_t TagEndAt(absl::string_view end, bool block) const {
    if (!open_.empty()) return 0;
    if (absl::StartsWith(rest(), end)) return 2;
    const bool sign = absl::StartsWith(rest(), "-") || (block && absl::StartsWith(rest(), "+"));
    return sign && absl::StartsWith(rest().substr(1), end) ? 3 : 0;
  }

  absl::Status ReadTag(absl::string_view end, bool block) {
    open_.clear();
    while (at_ < source_.size()) {
      if (absl::ascii_isspace(static_cast<unsigned char>(source_[at_]))) {
        Advance(1);
        continue;
      }
      if (const size_t length = TagEndAt(end, block); length > 0) {
        const char sign = length == 3 ? source_[at_] : ' ';
        Push(block ? Kind::kBlockEnd : Kind::kPrintEnd, "");
        Advance(length);
        EndTag(sign, block);
        return absl::OkStatus();
      }
      REIN_RETURN_IF_ERROR(ReadToken());
    }
    return Error(absl::StrCat("a tag has no end \"", end, "\""));
  }

  absl::Status ReadToken() {
    const char c = source_[at_];
    if (c == '\'' || c == '"') return ReadString(c);
    if (IsDigit(c)) return ReadNumber();
    if (IsNameStart(c)) {
      size_t length = 1;
      while (length < rest().size() && IsNamePart(rest()[length])) ++length;
      Push(Kind::kName, std::string(rest().substr(0, length)));
      Advance(length);
      return absl::OkStatus();
    }
    return ReadOperator();
  }

  absl::Status ReadNumber() {
    size_t length = 1;
    while (length < rest().size() && (IsNamePart(rest()[length]))) ++length;
    const std::string digits(rest().substr(0, length));
    const bool fraction = length + 1 < rest().size() && rest()[length] == '.' && IsDigit(rest()[length + 1]);
    if (fraction || !std::all_of(digits.begin(), digits.end(), IsDigit)) {
      return AtLine(line_, absl::UnimplementedError(
                               absl::StrCat("the number beginning \"", digits,
                                            "\" is not supported; supported are decimal integers")));
    }
    if (digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos)
      return Error(absl::StrCat("the number ", digits, " begins with 0"));
    Push(Kind::kInteger, digits);
    Advance(length);
    return absl::OkStatus();
  }

  absl::Status ReadOperator() {
    for (absl::string_view candidate : kTwoCharacterOperators) {
      if (absl::StartsWith(rest(), candidate)) return PushOperator(candidate);
    }
    const absl::string_view one = rest().substr(0, 1);
    if (!absl::StrContains(kOperators, one))
      return Error(absl::StrCat("unexpected character \"", one, "\" in a tag"));
    if (absl::StrContains("([{", one)) open_.push_back(one == "(" ? ')' : one == "[" ? ']' : '}');
    if (absl::StrContains(")]}", one)) {
      if (open_.empty() || open_.back() != one[0]) return Error(absl::StrCat("unexpected \"", one, "\""));
      open_.pop_back();
    }
    return PushOperator(one);
  }

  absl::Status PushOperator(absl::string_view text) {
    Push(Kind::kOperator, std::string(text));
    Advance(text.size());
    return absl::OkStatus();
  }

  absl::Status ReadString(char quote) {
    const int line = line_;
    std::string value;
    Advance(1);
    while (at_ < source_.size() && source_[at_] != quote) {
      if (source_[at_] == '\\') {
        REIN_RETURN_IF_ERROR(ReadEscape(&value));
      } else {
        value.push_back(source_[at_]);
        Advance(1);
      }
    }
    if (at_ >= source_.size()) return AtLine(line, absl::InvalidArgumentError("a string has no end"));
    Push(Kind::kString, std::move(value));
    Advance(1);
    return absl::OkStatus();
  }

  // Python's escapes; an unknown one stays as it is written.
  absl::Status ReadEscape(std::string* value) {
    if (at_ + 1 >= source_.size()) return Error("a string has no end");
    const char c = source_[at_ + 1];
    static constexpr absl::string_view kNames = "abfnrtv\\'\"", kValues = "\a\b\f\n\r\t\v\\'\"";
    if (const size_t index = kNames.find(c); index != absl::string_view::npos) {
      value->push_back(kValues[index]);
      Advance(2);
      return absl::OkStatus();
    }
    if (c == 'x') return ReadCodePoint(2, value);
    if (c == 'u') return ReadCodePoint(4, value);
    if (c == 'U') return ReadCodePoint(8, value);
    if (IsDigit(c) || c == 'N') {
      return AtLine(line_, absl::UnimplementedError(absl::StrCat("the escape \"\\", std::string(1, c),
                                                                 "\" is not supported; supported is \\u")));
    }
    if (c != '\n') value->append({'\\', c});
    Advance(2);
    return absl::OkStatus();
  }

  absl::Status ReadCodePoint(size_t digits, std::string* value) {
    const absl::string_view hex = source_.substr(std::min(at_ + 2, source_.size())).substr(0, digits);
    uint32_t character = 0;
    for (char c : hex) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(c)))
        return Error("a broken \\x, \\u or \\U in a string");
      character = character * 16 +
                  static_cast<uint32_t>(
                      IsDigit(c) ? c - '0' : absl::ascii_tolower(static_cast<unsigned char>(c)) - 'a' + 10);
    }
    if (hex.size() < digits || character > 0x10FFFF || (character >= 0xD800 && character <= 0xDFFF))
      return Error("a broken \\x, \\u or \\U in a string");
    AppendCharacter(character, value);
    Advance(2 + digits);
    return absl::OkStatus();
  }

  absl::string_view source_;
  size_t at_ = 0;
  int line_ = 1;
  bool line_begins_ = true;  // the tag before, or the beginning, ended a line
  std::string open_;         // closing brackets that are due, inside a tag
  std::vector<Token> tokens_;
};

}  // namespace

absl::StatusOr<std::vector<Token>> Tokenize(absl::string_view source) {
  std::string text = absl::StrReplaceAll(source, {{"\r\n", "\n"}, {"\r", "\n"}});
  absl::string_view lines = text;
  absl::ConsumeSuffix(&lines, "\n");
  return Lexer(lines).Run();
}

absl::Status AtLine(int line, const absl::Status& status) {
  return WithContext(status, absl::StrCat("line ", line));
}

}  // namespace rein::models::jinja
