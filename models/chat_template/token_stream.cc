#include "models/chat_template/token_stream.h"

#include "absl/strings/str_cat.h"

namespace rein::models::jinja {
namespace {

using Kind = Token::Kind;

std::string Describe(Kind kind) {
  switch (kind) {
    case Kind::kText:
      return "text";
    case Kind::kBlockBegin:
      return "\"{%\"";
    case Kind::kBlockEnd:
      return "\"%}\"";
    case Kind::kPrintBegin:
      return "\"{{\"";
    case Kind::kPrintEnd:
      return "\"}}\"";
    case Kind::kName:
      return "a name";
    case Kind::kString:
      return "a string";
    case Kind::kInteger:
      return "a number";
    case Kind::kOperator:
      return "an operator";
    case Kind::kEnd:
      break;
  }
  return "the end of the template";
}

}  // namespace

bool TokenStream::TakeOperator(absl::string_view text) {
  if (!IsOperator(text)) return false;
  Next();
  return true;
}

bool TokenStream::TakeName(absl::string_view text) {
  if (!IsName(text)) return false;
  Next();
  return true;
}

absl::Status TokenStream::ExpectOperator(absl::string_view text) {
  return TakeOperator(text) ? absl::OkStatus() : Unexpected(absl::StrCat("\"", text, "\""));
}

absl::Status TokenStream::Expect(Token::Kind kind) {
  if (!Is(kind)) return Unexpected(Describe(kind));
  Next();
  return absl::OkStatus();
}

absl::StatusOr<std::string> TokenStream::ExpectName() {
  if (!Is(Kind::kName)) return Unexpected("a name");
  return Next().text;
}

absl::Status TokenStream::Unexpected(absl::string_view what) const {
  const Token& token = Peek();
  const bool shown =
      token.kind == Kind::kName || token.kind == Kind::kOperator || token.kind == Kind::kInteger;
  const std::string found = shown ? absl::StrCat("\"", token.text, "\"") : Describe(token.kind);
  return AtLine(token.line, absl::InvalidArgumentError(absl::StrCat("expected ", what, ", found ", found)));
}

}  // namespace rein::models::jinja
