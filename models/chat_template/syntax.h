// The tree of a parsed chat template.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/chat_template/value.h"

namespace rein::models::jinja {

struct Expression;
using ExpressionPtr = std::unique_ptr<Expression>;

struct Expression {
  enum class Kind {
    kConstant,     // constant
    kName,         // name
    kList,         // children
    kTuple,        // children
    kDict,         // children: key, value, key, value, ...
    kAttribute,    // child.name
    kItem,         // child[child]
    kSlice,        // child[child:child:child]; children 1 to 3 may be null
    kCall,         // name(arguments): a function or macro
    kMethod,       // child.name(arguments)
    kFilter,       // child | name(arguments)
    kTest,         // child is name(arguments)
    kNot,          // not child
    kNegative,     // -child
    kAnd,          // child and child
    kOr,           // child or child
    kBinary,       // child name child: + - * // % ~
    kCompare,      // child operators[0] child operators[1] child ...
    kConditional,  // child if child else child; the last may be null
  };

  Kind kind;
  int line = 0;
  int depth = 1;  // of the tree below
  std::string name;
  Value constant;
  std::vector<ExpressionPtr> children;
  std::vector<ExpressionPtr> arguments;                      // by position
  std::vector<std::pair<std::string, ExpressionPtr>> named;  // by name
  std::vector<std::string> operators;
};

struct Statement {
  enum class Kind {
    kText,        // text
    kPrint,       // {{ value }}
    kIf,          // branches
    kFor,         // for targets in value if condition: body; otherwise
    kSet,         // set targets = value, or set name.field = value
    kSetBlock,    // set name: body
    kMacro,       // macro name(parameters): body
    kGeneration,  // body
    kBreak,
    kContinue,
  };
  // The condition of a last "else" is null.
  struct Branch {
    ExpressionPtr condition;
    std::vector<Statement> body;
  };
  // A default may be null.
  struct Parameter {
    std::string name;
    ExpressionPtr fallback;
  };

  Kind kind;
  int line = 0;
  std::string text;                  // kMacro: its name; kSet: the field of a namespace, if any
  std::vector<std::string> targets;  // several unpack a list
  ExpressionPtr value, condition;
  std::vector<Statement> body, otherwise;
  std::vector<Branch> branches;
  std::vector<Parameter> parameters;
};

}  // namespace rein::models::jinja
