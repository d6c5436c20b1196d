// Jinja's expressions, with its precedences.
#pragma once

#include <initializer_list>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "models/chat_template/syntax.h"
#include "models/chat_template/token_stream.h"

namespace rein::models::jinja {

class ExpressionParser {
 public:
  // `macros` grows while the template is parsed; their names may be called.
  ExpressionParser(TokenStream* tokens, const std::set<std::string>* macros)
      : tokens_(tokens), macros_(macros) {}

  // One expression. Errors: INVALID_ARGUMENT, UNIMPLEMENTED (names what is not supported), RESOURCE_EXHAUSTED
  // (nested too deeply).
  absl::StatusOr<ExpressionPtr> Parse();
  // One expression, or several with commas between, which make a tuple.
  absl::StatusOr<ExpressionPtr> ParseTuple();
  // Without a conditional: what stands before the "if" of a loop.
  absl::StatusOr<ExpressionPtr> ParseOr();

 private:
  using Rule = absl::StatusOr<ExpressionPtr> (ExpressionParser::*)();

  absl::StatusOr<ExpressionPtr> ParseConditional();
  absl::StatusOr<ExpressionPtr> ParseAnd();
  absl::StatusOr<ExpressionPtr> ParseNot();
  absl::StatusOr<ExpressionPtr> ParseCompare();
  absl::StatusOr<ExpressionPtr> ParseSum();
  absl::StatusOr<ExpressionPtr> ParseConcatenation();
  absl::StatusOr<ExpressionPtr> ParseProduct();
  absl::StatusOr<ExpressionPtr> ParseOperand() { return ParseUnary(true); }
  absl::StatusOr<ExpressionPtr> ParseUnary(bool with_filters);
  // Operands with `operators` between, grouped from the left.
  absl::StatusOr<ExpressionPtr> ParseLeft(Rule operand, Expression::Kind kind, Token::Kind token,
                                          std::initializer_list<absl::string_view> operators);
  absl::StatusOr<ExpressionPtr> ParsePrimary();
  absl::StatusOr<ExpressionPtr> ParseName();
  absl::StatusOr<ExpressionPtr> ParseStrings();
  absl::StatusOr<ExpressionPtr> ParseParentheses();
  absl::StatusOr<ExpressionPtr> ParseList();
  absl::StatusOr<ExpressionPtr> ParseDict();
  absl::StatusOr<ExpressionPtr> ParsePostfix(ExpressionPtr node);
  absl::StatusOr<ExpressionPtr> ParseAttribute(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseSubscript(ExpressionPtr object);
  absl::StatusOr<ExpressionPtr> ParseCall(ExpressionPtr callee);
  absl::StatusOr<ExpressionPtr> ParseFilters(ExpressionPtr node);
  absl::StatusOr<ExpressionPtr> ParseFilter(ExpressionPtr value);
  absl::StatusOr<ExpressionPtr> ParseTest(ExpressionPtr value);
  absl::Status ParseArguments(Expression* node);

  ExpressionPtr Make(Expression::Kind kind) const;
  // Completes a node: its depth is counted and limited.
  absl::StatusOr<ExpressionPtr> Finish(ExpressionPtr node) const;

  TokenStream* tokens_;
  const std::set<std::string>* macros_;
  int nesting_ = 0;
};

}  // namespace rein::models::jinja
