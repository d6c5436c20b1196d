#include "models/chat_template/expression_parser.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "models/chat_template/builtins.h"

namespace rein::models::jinja {
namespace {

using Kind = Expression::Kind;

constexpr int kMaxDepth = 100;   // of the tree
constexpr int kMaxNesting = 60;  // of parentheses and the like

constexpr absl::string_view kCompareOperators[] = {"==", "!=", "<", "<=", ">", ">="};
constexpr absl::string_view kLoopFields[] = {"index",    "index0",    "first",    "last",    "length",
                                             "revindex", "revindex0", "previtem", "nextitem"};

template <typename Range>
bool IsIn(absl::string_view text, const Range& range) {
  return std::find(std::begin(range), std::end(range), text) != std::end(range);
}

absl::Status Invalid(int line, const std::string& what) {
  return AtLine(line, absl::InvalidArgumentError(what));
}

absl::Status Unsupported(int line, const std::string& what, const std::string& supported) {
  return AtLine(line,
                absl::UnimplementedError(absl::StrCat(what, " is not supported; supported: ", supported)));
}

absl::string_view KindName(Builtin kind) {
  switch (kind) {
    case Builtin::kFunction:
      return "function";
    case Builtin::kFilter:
      return "filter";
    case Builtin::kTest:
      return "test";
    case Builtin::kMethod:
      break;
  }
  return "method";
}

absl::Status CheckKnown(int line, Builtin kind, const std::string& name) {
  if (FindBuiltin(kind, name) != nullptr) return absl::OkStatus();
  return Unsupported(line, absl::StrCat("the ", KindName(kind), " \"", name, "\""), BuiltinNames(kind));
}

// That the builtin exists and takes these arguments, both known without rendering.
absl::Status CheckBuiltin(Builtin kind, const Expression& node) {
  REIN_RETURN_IF_ERROR(CheckKnown(node.line, kind, node.name));
  const Signature& signature = *FindBuiltin(kind, node.name);
  if (signature.variadic) return absl::OkStatus();
  const std::string what = absl::StrCat("the ", KindName(kind), " \"", node.name, "\"");
  if (node.arguments.size() > signature.parameters.size()) {
    return Invalid(node.line, absl::StrCat(what, " takes at most ", signature.parameters.size(),
                                           " arguments, has ", node.arguments.size()));
  }
  for (const auto& [name, value] : node.named) {
    if (IsIn(name, signature.parameters)) continue;
    return Unsupported(node.line, absl::StrCat("the argument \"", name, "\" of ", what),
                       signature.parameters.empty() ? "none" : absl::StrJoin(signature.parameters, ", "));
  }
  if (node.arguments.size() + node.named.size() >= signature.required) return absl::OkStatus();
  return Invalid(node.line,
                 absl::StrCat(what, " needs arguments: ", absl::StrJoin(signature.parameters, ", ")));
}

// map("filter"), select("test") and selectattr("attribute", "test") apply what a string names.
absl::Status CheckNamedBuiltin(const Expression& node) {
  const bool map = node.name == "map", attribute = node.name == "selectattr" || node.name == "rejectattr";
  if (!map && !attribute && node.name != "select" && node.name != "reject") return absl::OkStatus();
  const size_t index = attribute ? 1 : 0;
  if (index >= node.arguments.size()) return absl::OkStatus();
  const Expression& name = *node.arguments[index];
  if (name.kind == Kind::kConstant && name.constant.is_string())
    return CheckKnown(node.line, map ? Builtin::kFilter : Builtin::kTest, name.constant.string());
  return Unsupported(node.line, absl::StrCat("a computed name in the filter \"", node.name, "\""),
                     "a string");
}

// What a subscript or argument may begin with that stands behind a test without parentheses.
bool BeginsPrimary(const Token& token) {
  switch (token.kind) {
    case Token::Kind::kString:
    case Token::Kind::kInteger:
      return true;
    case Token::Kind::kName:
      return token.text != "else" && token.text != "or" && token.text != "and" && token.text != "is" &&
             token.text != "if" && token.text != "in" && token.text != "not";
    case Token::Kind::kOperator:
      return token.text == "(" || token.text == "[" || token.text == "{";
    default:
      return false;
  }
}

}  // namespace

ExpressionPtr ExpressionParser::Make(Kind kind) const {
  auto node = std::make_unique<Expression>();
  node->kind = kind;
  node->line = tokens_->Peek().line;
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Finish(ExpressionPtr node) const {
  const auto count = [&](const ExpressionPtr& child) {
    if (child != nullptr) node->depth = std::max(node->depth, child->depth + 1);
  };
  for (const ExpressionPtr& child : node->children) count(child);
  for (const ExpressionPtr& child : node->arguments) count(child);
  for (const auto& [name, child] : node->named) count(child);
  if (node->depth <= kMaxDepth) return node;
  return AtLine(node->line, absl::ResourceExhaustedError(
                                absl::StrCat("an expression is over ", kMaxDepth, " operations deep")));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::Parse() {
  if (nesting_ >= kMaxNesting) {
    return AtLine(tokens_->Peek().line, absl::ResourceExhaustedError(absl::StrCat(
                                            "an expression is nested over ", kMaxNesting, " deep")));
  }
  ++nesting_;
  absl::StatusOr<ExpressionPtr> node = ParseConditional();
  --nesting_;
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseConditional() {
  REIN_ASSIGN_OR_RETURN(ExpressionPtr node, ParseOr());
  while (tokens_->IsName("if")) {
    ExpressionPtr conditional = Make(Kind::kConditional);
    tokens_->Next();
    REIN_ASSIGN_OR_RETURN(ExpressionPtr condition, ParseOr());
    ExpressionPtr otherwise;
    if (tokens_->TakeName("else")) {
      REIN_ASSIGN_OR_RETURN(otherwise, Parse());
    }
    conditional->children.push_back(std::move(node));
    conditional->children.push_back(std::move(condition));
    conditional->children.push_back(std::move(otherwise));
    REIN_ASSIGN_OR_RETURN(node, Finish(std::move(conditional)));
  }
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseTuple() {
  REIN_ASSIGN_OR_RETURN(ExpressionPtr first, Parse());
  if (!tokens_->IsOperator(",")) return first;
  ExpressionPtr tuple = Make(Kind::kTuple);
  tuple->children.push_back(std::move(first));
  while (tokens_->TakeOperator(",")) {
    if (tokens_->Is(Token::Kind::kBlockEnd) || tokens_->Is(Token::Kind::kPrintEnd) ||
        tokens_->IsOperator(")"))
      break;
    REIN_ASSIGN_OR_RETURN(ExpressionPtr next, Parse());
    tuple->children.push_back(std::move(next));
  }
  return Finish(std::move(tuple));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseLeft(
    Rule operand, Kind kind, Token::Kind token, std::initializer_list<absl::string_view> operators) {
  REIN_ASSIGN_OR_RETURN(ExpressionPtr left, (this->*operand)());
  while (tokens_->Is(token) && IsIn(tokens_->Peek().text, operators)) {
    ExpressionPtr node = Make(kind);
    node->name = tokens_->Next().text;
    REIN_ASSIGN_OR_RETURN(ExpressionPtr right, (this->*operand)());
    node->children.push_back(std::move(left));
    node->children.push_back(std::move(right));
    REIN_ASSIGN_OR_RETURN(left, Finish(std::move(node)));
  }
  return left;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseOr() {
  return ParseLeft(&ExpressionParser::ParseAnd, Kind::kOr, Token::Kind::kName, {"or"});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseAnd() {
  return ParseLeft(&ExpressionParser::ParseNot, Kind::kAnd, Token::Kind::kName, {"and"});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseNot() {
  int negations = 0;
  while (tokens_->TakeName("not")) ++negations;
  REIN_ASSIGN_OR_RETURN(ExpressionPtr node, ParseCompare());
  for (; negations > 0; --negations) {
    ExpressionPtr negation = Make(Kind::kNot);
    negation->children.push_back(std::move(node));
    REIN_ASSIGN_OR_RETURN(node, Finish(std::move(negation)));
  }
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseCompare() {
  REIN_ASSIGN_OR_RETURN(ExpressionPtr first, ParseSum());
  ExpressionPtr node = Make(Kind::kCompare);
  node->children.push_back(std::move(first));
  while (true) {
    const bool negated = tokens_->IsName("not") && tokens_->PeekNext().text == "in" &&
                         tokens_->PeekNext().kind == Token::Kind::kName;
    if (tokens_->Is(Token::Kind::kOperator) && IsIn(tokens_->Peek().text, kCompareOperators)) {
      node->operators.push_back(tokens_->Next().text);
    } else if (negated || tokens_->IsName("in")) {
      if (negated) tokens_->Next();
      tokens_->Next();
      node->operators.push_back(negated ? "not in" : "in");
    } else {
      break;
    }
    REIN_ASSIGN_OR_RETURN(ExpressionPtr next, ParseSum());
    node->children.push_back(std::move(next));
  }
  if (node->operators.empty()) return std::move(node->children.front());
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseSum() {
  return ParseLeft(&ExpressionParser::ParseConcatenation, Kind::kBinary, Token::Kind::kOperator, {"+", "-"});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseConcatenation() {
  return ParseLeft(&ExpressionParser::ParseProduct, Kind::kBinary, Token::Kind::kOperator, {"~"});
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseProduct() {
  REIN_ASSIGN_OR_RETURN(ExpressionPtr node, ParseLeft(&ExpressionParser::ParseOperand, Kind::kBinary,
                                                      Token::Kind::kOperator, {"*", "//", "%"}));
  for (const char* other : {"/", "**"}) {
    if (tokens_->IsOperator(other))
      return Unsupported(node->line, absl::StrCat("the operator \"", other, "\""), "+ - * // % ~");
  }
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseUnary(bool with_filters) {
  int negations = 0;
  while (tokens_->IsOperator("-") || tokens_->IsOperator("+")) {
    if (tokens_->Next().text == "-") ++negations;
  }
  REIN_ASSIGN_OR_RETURN(ExpressionPtr node, ParsePrimary());
  REIN_ASSIGN_OR_RETURN(node, ParsePostfix(std::move(node)));
  for (; negations > 0; --negations) {
    ExpressionPtr negative = Make(Kind::kNegative);
    negative->children.push_back(std::move(node));
    REIN_ASSIGN_OR_RETURN(node, Finish(std::move(negative)));
  }
  return with_filters ? ParseFilters(std::move(node)) : std::move(node);
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePrimary() {
  if (tokens_->Is(Token::Kind::kName)) return ParseName();
  if (tokens_->Is(Token::Kind::kString)) return ParseStrings();
  if (tokens_->Is(Token::Kind::kInteger)) {
    ExpressionPtr node = Make(Kind::kConstant);
    int64_t value = 0;
    if (!absl::SimpleAtoi(tokens_->Peek().text, &value))
      return Invalid(node->line,
                     absl::StrCat("the number ", tokens_->Peek().text.substr(0, 40), " is too large"));
    tokens_->Next();
    node->constant = Value(value);
    return node;
  }
  if (tokens_->IsOperator("(")) return ParseParentheses();
  if (tokens_->IsOperator("[")) return ParseList();
  if (tokens_->IsOperator("{")) return ParseDict();
  return tokens_->Unexpected("an expression");
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseName() {
  const std::string name = tokens_->Peek().text;
  ExpressionPtr node = Make(Kind::kConstant);
  if (name == "true" || name == "True") {
    node->constant = Value(true);
  } else if (name == "false" || name == "False") {
    node->constant = Value(false);
  } else if (name == "none" || name == "None") {
    node->constant = Value(Value::None{});
  } else {
    for (const char* hidden : {"varargs", "kwargs", "caller", "self"}) {
      if (name == hidden)
        return Unsupported(node->line, absl::StrCat("the name \"", name, "\""),
                           "the named parameters of macros");
    }
    if (name == "if" || name == "else" || name == "in" || name == "and" || name == "or" || name == "is")
      return tokens_->Unexpected("an expression");
    node->kind = Kind::kName;
    node->name = name;
  }
  tokens_->Next();
  return node;
}

// Strings one after another are one.
absl::StatusOr<ExpressionPtr> ExpressionParser::ParseStrings() {
  ExpressionPtr node = Make(Kind::kConstant);
  std::string text;
  while (tokens_->Is(Token::Kind::kString)) text += tokens_->Next().text;
  node->constant = Value(std::move(text));
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseParentheses() {
  ExpressionPtr empty = Make(Kind::kTuple);
  tokens_->Next();
  if (tokens_->TakeOperator(")")) return empty;
  REIN_ASSIGN_OR_RETURN(ExpressionPtr node, ParseTuple());
  REIN_RETURN_IF_ERROR(tokens_->ExpectOperator(")"));
  return node;
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseList() {
  ExpressionPtr node = Make(Kind::kList);
  tokens_->Next();
  while (!tokens_->IsOperator("]")) {
    REIN_ASSIGN_OR_RETURN(ExpressionPtr item, Parse());
    node->children.push_back(std::move(item));
    if (!tokens_->TakeOperator(",")) break;
  }
  REIN_RETURN_IF_ERROR(tokens_->ExpectOperator("]"));
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseDict() {
  ExpressionPtr node = Make(Kind::kDict);
  tokens_->Next();
  while (!tokens_->IsOperator("}")) {
    REIN_ASSIGN_OR_RETURN(ExpressionPtr key, Parse());
    REIN_RETURN_IF_ERROR(tokens_->ExpectOperator(":"));
    REIN_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
    node->children.push_back(std::move(key));
    node->children.push_back(std::move(value));
    if (!tokens_->TakeOperator(",")) break;
  }
  REIN_RETURN_IF_ERROR(tokens_->ExpectOperator("}"));
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParsePostfix(ExpressionPtr node) {
  while (true) {
    absl::StatusOr<ExpressionPtr> next;
    if (tokens_->IsOperator(".")) {
      next = ParseAttribute(std::move(node));
    } else if (tokens_->IsOperator("[")) {
      next = ParseSubscript(std::move(node));
    } else if (tokens_->IsOperator("(")) {
      next = ParseCall(std::move(node));
    } else {
      return node;
    }
    REIN_ASSIGN_OR_RETURN(node, std::move(next));
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseAttribute(ExpressionPtr object) {
  ExpressionPtr node = Make(Kind::kAttribute);
  tokens_->Next();
  if (tokens_->Is(Token::Kind::kInteger)) {
    node->kind = Kind::kItem;
    REIN_ASSIGN_OR_RETURN(ExpressionPtr index, ParsePrimary());
    node->children.push_back(std::move(object));
    node->children.push_back(std::move(index));
    return Finish(std::move(node));
  }
  REIN_ASSIGN_OR_RETURN(node->name, tokens_->ExpectName());
  if (absl::StartsWith(node->name, "_"))
    return Unsupported(node->line, absl::StrCat("the attribute \"", node->name, "\""),
                       "names without a leading \"_\"");
  if (object->kind == Kind::kName && object->name == "loop" && !IsIn(node->name, kLoopFields))
    return Unsupported(node->line, absl::StrCat("loop.", node->name), absl::StrJoin(kLoopFields, ", "));
  node->children.push_back(std::move(object));
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseSubscript(ExpressionPtr object) {
  ExpressionPtr node = Make(Kind::kItem);
  tokens_->Next();
  node->children.push_back(std::move(object));
  int colons = 0;
  while (!tokens_->IsOperator("]")) {
    if (tokens_->TakeOperator(":")) {
      node->children.resize(static_cast<size_t>(++colons) + 1);
      if (colons > 2) return tokens_->Unexpected("\"]\"");
      continue;
    }
    if (node->children.size() > static_cast<size_t>(colons) + 1) return tokens_->Unexpected("\"]\"");
    REIN_ASSIGN_OR_RETURN(ExpressionPtr part, Parse());
    node->children.push_back(std::move(part));
  }
  tokens_->Next();
  if (colons > 0) {
    node->kind = Kind::kSlice;
    node->children.resize(4);
  } else if (node->children.size() < 2) {
    return Invalid(node->line, "a subscript is empty");
  }
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseCall(ExpressionPtr callee) {
  if (callee->kind == Kind::kAttribute) {
    callee->kind = Kind::kMethod;
  } else if (callee->kind == Kind::kName) {
    callee->kind = Kind::kCall;
  } else {
    return Unsupported(callee->line, "a call of a computed value", "calls of names and methods");
  }
  REIN_RETURN_IF_ERROR(ParseArguments(callee.get()));
  if (callee->kind == Kind::kMethod) {
    REIN_RETURN_IF_ERROR(CheckBuiltin(Builtin::kMethod, *callee));
  } else if (macros_->count(callee->name) == 0) {
    REIN_RETURN_IF_ERROR(CheckBuiltin(Builtin::kFunction, *callee));
  }
  return Finish(std::move(callee));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseFilters(ExpressionPtr node) {
  while (true) {
    absl::StatusOr<ExpressionPtr> next;
    if (tokens_->TakeOperator("|")) {
      next = ParseFilter(std::move(node));
    } else if (tokens_->TakeName("is")) {
      next = ParseTest(std::move(node));
    } else if (tokens_->IsOperator("(")) {
      next = ParseCall(std::move(node));
    } else {
      return node;
    }
    REIN_ASSIGN_OR_RETURN(node, std::move(next));
  }
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseFilter(ExpressionPtr value) {
  ExpressionPtr node = Make(Kind::kFilter);
  REIN_ASSIGN_OR_RETURN(node->name, tokens_->ExpectName());
  if (tokens_->IsOperator("(")) REIN_RETURN_IF_ERROR(ParseArguments(node.get()));
  node->children.push_back(std::move(value));
  REIN_RETURN_IF_ERROR(CheckBuiltin(Builtin::kFilter, *node));
  REIN_RETURN_IF_ERROR(CheckNamedBuiltin(*node));
  return Finish(std::move(node));
}

absl::StatusOr<ExpressionPtr> ExpressionParser::ParseTest(ExpressionPtr value) {
  ExpressionPtr node = Make(Kind::kTest);
  const bool negated = tokens_->TakeName("not");
  REIN_ASSIGN_OR_RETURN(node->name, tokens_->ExpectName());
  if (tokens_->IsOperator("(")) {
    REIN_RETURN_IF_ERROR(ParseArguments(node.get()));
  } else if (BeginsPrimary(tokens_->Peek())) {
    REIN_ASSIGN_OR_RETURN(ExpressionPtr argument, ParsePrimary());
    REIN_ASSIGN_OR_RETURN(argument, ParsePostfix(std::move(argument)));
    node->arguments.push_back(std::move(argument));
  }
  node->children.push_back(std::move(value));
  REIN_RETURN_IF_ERROR(CheckBuiltin(Builtin::kTest, *node));
  REIN_ASSIGN_OR_RETURN(node, Finish(std::move(node)));
  if (!negated) return node;
  ExpressionPtr negation = Make(Kind::kNot);
  negation->children.push_back(std::move(node));
  return Finish(std::move(negation));
}

absl::Status ExpressionParser::ParseArguments(Expression* node) {
  REIN_RETURN_IF_ERROR(tokens_->ExpectOperator("("));
  while (!tokens_->IsOperator(")")) {
    for (const char* star : {"*", "**"}) {
      if (tokens_->IsOperator(star))
        return Unsupported(tokens_->Peek().line, absl::StrCat("the argument \"", star, "...\""),
                           "single arguments");
    }
    const bool named = tokens_->Is(Token::Kind::kName) &&
                       tokens_->PeekNext().kind == Token::Kind::kOperator && tokens_->PeekNext().text == "=";
    std::string name;
    if (named) {
      name = tokens_->Next().text;
      tokens_->Next();
    } else if (!node->named.empty()) {
      return Invalid(tokens_->Peek().line, "an argument without a name follows one with a name");
    }
    REIN_ASSIGN_OR_RETURN(ExpressionPtr value, Parse());
    if (named) {
      node->named.emplace_back(name, std::move(value));
    } else {
      node->arguments.push_back(std::move(value));
    }
    if (!tokens_->TakeOperator(",")) break;
  }
  return tokens_->ExpectOperator(")");
}

}  // namespace rein::models::jinja
