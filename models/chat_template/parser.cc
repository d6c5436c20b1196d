#include "models/chat_template/parser.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/chat_template/expression_parser.h"
#include "models/chat_template/lexer.h"
#include "models/chat_template/token_stream.h"

namespace rein::models::jinja {
namespace {

using Kind = Statement::Kind;

constexpr int kMaxNesting = 40;  // of tags
constexpr char kTags[] = "for, if, set, macro, generation, break, continue";

// Macros may be called before the place that defines them, so their names are collected first.
std::set<std::string> MacroNames(const std::vector<Token>& tokens) {
  std::set<std::string> names;
  for (size_t i = 0; i + 2 < tokens.size(); ++i) {
    if (tokens[i].kind == Token::Kind::kBlockBegin && tokens[i + 1].text == "macro")
      names.insert(tokens[i + 2].text);
  }
  return names;
}

class Parser {
 public:
  explicit Parser(std::vector<Token> tokens)
      : macros_(MacroNames(tokens)), tokens_(std::move(tokens)), expressions_(&tokens_, &macros_) {}

  absl::StatusOr<std::vector<Statement>> Run() {
    std::vector<Statement> body;
    REIN_RETURN_IF_ERROR(ParseBody({}, &body).status());
    return body;
  }

 private:
  absl::Status Unsupported(int line, const std::string& what, const std::string& supported) const {
    return AtLine(line,
                  absl::UnimplementedError(absl::StrCat(what, " is not supported; supported: ", supported)));
  }

  Statement Make(Kind kind) const {
    Statement statement;
    statement.kind = kind;
    statement.line = tokens_.Peek().line;
    return statement;
  }

  absl::Status EndBlock() { return tokens_.Expect(Token::Kind::kBlockEnd); }

  // Statements up to a tag of `ends`, whose name is taken and returned; to the end of the template without.
  absl::StatusOr<std::string> ParseBody(const std::vector<std::string>& ends, std::vector<Statement>* body) {
    if (nesting_ >= kMaxNesting) {
      return AtLine(tokens_.Peek().line, absl::ResourceExhaustedError(
                                             absl::StrCat("tags are nested over ", kMaxNesting, " deep")));
    }
    ++nesting_;
    absl::StatusOr<std::string> end = ParseStatements(ends, body);
    --nesting_;
    return end;
  }

  absl::StatusOr<std::string> ParseStatements(const std::vector<std::string>& ends,
                                              std::vector<Statement>* body) {
    while (!tokens_.Is(Token::Kind::kEnd)) {
      Statement statement = Make(Kind::kText);
      if (tokens_.Is(Token::Kind::kText)) {
        statement.text = tokens_.Next().text;
      } else if (tokens_.Is(Token::Kind::kPrintBegin)) {
        tokens_.Next();
        statement.kind = Kind::kPrint;
        REIN_ASSIGN_OR_RETURN(statement.value, expressions_.ParseTuple());
        REIN_RETURN_IF_ERROR(tokens_.Expect(Token::Kind::kPrintEnd));
      } else {
        REIN_RETURN_IF_ERROR(tokens_.Expect(Token::Kind::kBlockBegin));
        REIN_ASSIGN_OR_RETURN(const std::string tag, tokens_.ExpectName());
        for (const std::string& end : ends) {
          if (tag == end) return tag;
        }
        REIN_ASSIGN_OR_RETURN(statement, ParseTag(tag));
      }
      body->push_back(std::move(statement));
    }
    if (ends.empty()) return std::string();
    return tokens_.Unexpected(absl::StrCat("{% ", ends.back(), " %}"));
  }

  absl::StatusOr<Statement> ParseTag(const std::string& tag) {
    if (tag == "for") return ParseFor();
    if (tag == "if") return ParseIf();
    if (tag == "set") return ParseSet();
    if (tag == "macro") return ParseMacro();
    if (tag == "generation") return ParseGeneration();
    if (tag == "break" || tag == "continue") return ParseJump(tag);
    const int line = tokens_.Peek().line;
    if (absl::StartsWith(tag, "end") || tag == "else" || tag == "elif")
      return AtLine(line, absl::InvalidArgumentError(absl::StrCat("unexpected {% ", tag, " %}")));
    return Unsupported(line, absl::StrCat("the tag \"", tag, "\""), kTags);
  }

  absl::StatusOr<Statement> ParseJump(const std::string& tag) {
    Statement statement = Make(tag == "break" ? Kind::kBreak : Kind::kContinue);
    if (loops_ == 0)
      return AtLine(statement.line,
                    absl::InvalidArgumentError(absl::StrCat("{% ", tag, " %} outside a loop")));
    REIN_RETURN_IF_ERROR(EndBlock());
    return statement;
  }

  // A name, or several in a tuple that is unpacked.
  absl::StatusOr<std::vector<std::string>> ParseTargets() {
    std::vector<std::string> targets;
    const bool parentheses = tokens_.TakeOperator("(");
    do {
      REIN_ASSIGN_OR_RETURN(std::string name, tokens_.ExpectName());
      targets.push_back(std::move(name));
    } while (tokens_.TakeOperator(","));
    if (parentheses) REIN_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    return targets;
  }

  absl::StatusOr<Statement> ParseFor() {
    Statement loop = Make(Kind::kFor);
    REIN_ASSIGN_OR_RETURN(loop.targets, ParseTargets());
    if (!tokens_.TakeName("in")) return tokens_.Unexpected("\"in\"");
    REIN_ASSIGN_OR_RETURN(loop.value, expressions_.ParseOr());
    if (tokens_.TakeName("if")) {
      REIN_ASSIGN_OR_RETURN(loop.condition, expressions_.Parse());
    }
    if (tokens_.IsName("recursive")) return Unsupported(loop.line, "a recursive loop", "macros");
    REIN_RETURN_IF_ERROR(EndBlock());
    ++loops_;
    ++scopes_;
    REIN_ASSIGN_OR_RETURN(const std::string end, ParseBody({"else", "endfor"}, &loop.body));
    --loops_;
    if (end == "else") {
      REIN_RETURN_IF_ERROR(EndBlock());
      REIN_RETURN_IF_ERROR(ParseBody({"endfor"}, &loop.otherwise).status());
    }
    --scopes_;
    REIN_RETURN_IF_ERROR(EndBlock());
    return loop;
  }

  absl::StatusOr<Statement> ParseIf() {
    Statement statement = Make(Kind::kIf);
    std::string tag = "if";
    while (tag != "endif") {
      Statement::Branch branch;
      if (tag != "else") {
        REIN_ASSIGN_OR_RETURN(branch.condition, expressions_.ParseTuple());
      }
      REIN_RETURN_IF_ERROR(EndBlock());
      const std::vector<std::string> ends = tag == "else" ? std::vector<std::string>{"endif"}
                                                          : std::vector<std::string>{"elif", "else", "endif"};
      REIN_ASSIGN_OR_RETURN(tag, ParseBody(ends, &branch.body));
      statement.branches.push_back(std::move(branch));
    }
    REIN_RETURN_IF_ERROR(EndBlock());
    return statement;
  }

  absl::StatusOr<Statement> ParseSet() {
    Statement statement = Make(Kind::kSet);
    REIN_ASSIGN_OR_RETURN(statement.targets, ParseTargets());
    if (statement.targets.size() == 1 && tokens_.TakeOperator(".")) {
      REIN_ASSIGN_OR_RETURN(statement.text, tokens_.ExpectName());
      if (absl::StartsWith(statement.text, "_"))
        return Unsupported(statement.line, absl::StrCat("the field \"", statement.text, "\""),
                           "names without a leading \"_\"");
    }
    if (tokens_.TakeOperator("=")) {
      REIN_ASSIGN_OR_RETURN(statement.value, expressions_.ParseTuple());
      REIN_RETURN_IF_ERROR(EndBlock());
      return statement;
    }
    if (statement.targets.size() > 1 || !statement.text.empty() || tokens_.IsOperator("|"))
      return tokens_.Unexpected("\"=\"");
    statement.kind = Kind::kSetBlock;
    REIN_RETURN_IF_ERROR(EndBlock());
    REIN_RETURN_IF_ERROR(ParseScope("endset", &statement.body));
    return statement;
  }

  // A body with names of its own, out of which no jump leads.
  absl::Status ParseScope(const std::string& end, std::vector<Statement>* body) {
    const int loops = std::exchange(loops_, 0);
    ++scopes_;
    REIN_RETURN_IF_ERROR(ParseBody({end}, body).status());
    --scopes_;
    loops_ = loops;
    return EndBlock();
  }

  absl::StatusOr<Statement> ParseMacro() {
    Statement macro = Make(Kind::kMacro);
    // Elsewhere a macro would see names that are gone when it is called.
    if (scopes_ > 0) return Unsupported(macro.line, "a macro inside another tag than if", "macros outside");
    REIN_ASSIGN_OR_RETURN(macro.text, tokens_.ExpectName());
    REIN_RETURN_IF_ERROR(tokens_.ExpectOperator("("));
    while (!tokens_.IsOperator(")")) {
      Statement::Parameter parameter;
      REIN_ASSIGN_OR_RETURN(parameter.name, tokens_.ExpectName());
      if (tokens_.TakeOperator("=")) {
        REIN_ASSIGN_OR_RETURN(parameter.fallback, expressions_.Parse());
      }
      macro.parameters.push_back(std::move(parameter));
      if (!tokens_.TakeOperator(",")) break;
    }
    REIN_RETURN_IF_ERROR(tokens_.ExpectOperator(")"));
    REIN_RETURN_IF_ERROR(EndBlock());
    REIN_RETURN_IF_ERROR(ParseScope("endmacro", &macro.body));
    return macro;
  }

  absl::StatusOr<Statement> ParseGeneration() {
    Statement statement = Make(Kind::kGeneration);
    REIN_RETURN_IF_ERROR(EndBlock());
    REIN_RETURN_IF_ERROR(ParseScope("endgeneration", &statement.body));
    return statement;
  }

  std::set<std::string> macros_;
  TokenStream tokens_;
  ExpressionParser expressions_;
  int nesting_ = 0, loops_ = 0, scopes_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<Statement>> Parse(absl::string_view source) {
  REIN_ASSIGN_OR_RETURN(std::vector<Token> tokens, Tokenize(source));
  return Parser(std::move(tokens)).Run();
}

}  // namespace rein::models::jinja
