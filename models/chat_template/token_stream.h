// The tokens of a template, read once from front to back.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "models/chat_template/lexer.h"

namespace rein::models::jinja {

class TokenStream {
 public:
  // `tokens` ends with kEnd.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek() const { return tokens_[at_]; }
  const Token& PeekNext() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  // The end is returned again and again.
  const Token& Next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }

  bool Is(Token::Kind kind) const { return Peek().kind == kind; }
  bool IsOperator(absl::string_view text) const { return Is(Token::Kind::kOperator) && Peek().text == text; }
  bool IsName(absl::string_view text) const { return Is(Token::Kind::kName) && Peek().text == text; }
  // Skips the token if it is that one.
  bool TakeOperator(absl::string_view text);
  bool TakeName(absl::string_view text);

  absl::Status ExpectOperator(absl::string_view text);
  absl::Status Expect(Token::Kind kind);
  absl::StatusOr<std::string> ExpectName();
  // "line N: expected `what`, found ...".
  absl::Status Unexpected(absl::string_view what) const;

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace rein::models::jinja
