#include "models/chat_template/interpreter.h"

#include <algorithm>
#include <limits>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/chat_template/lexer.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

// Names and values of a loop's pass, a macro's call or the whole template.
class Scope {
 public:
  explicit Scope(const Scope* parent) : parent_(parent) {}

  void Set(const std::string& name, Value value) {
    for (auto& [known, old] : names_) {
      if (known == name) {
        old = std::move(value);
        return;
      }
    }
    names_.emplace_back(name, std::move(value));
  }

  // nullptr when there is none.
  const Value* Find(const std::string& name) const {
    for (const Scope* scope = this; scope != nullptr; scope = scope->parent_) {
      for (const auto& [known, value] : scope->names_) {
        if (known == name) return &value;
      }
    }
    return nullptr;
  }

 private:
  const Scope* parent_;
  std::vector<std::pair<std::string, Value>> names_;
};

enum class Flow { kNext, kBreak, kContinue };

absl::StatusOr<Value> Arithmetic(const std::string& operation, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  if (operation == "+") {
    overflow = __builtin_add_overflow(a, b, &result);
  } else if (operation == "-") {
    overflow = __builtin_sub_overflow(a, b, &result);
  } else if (operation == "*") {
    overflow = __builtin_mul_overflow(a, b, &result);
  } else if (b == 0) {
    return absl::InvalidArgumentError("a division by 0");
  } else if (b == -1) {
    if (operation == "//") overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
  } else {
    // Python rounds down and gives the remainder the sign of the divisor.
    const int64_t remainder = (a % b + b) % b;
    result = operation == "%" ? remainder : a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
  }
  if (overflow) return absl::InvalidArgumentError("a number does not fit into 64 bits");
  return Value(result);
}

// start, stop and step as Python's slice.indices() makes them for a sequence of `size`.
struct Slice {
  int64_t start, stop, step;
};

absl::StatusOr<Slice> Indices(const Value& start, const Value& stop, const Value& step, int64_t size) {
  for (const Value* part : {&start, &stop, &step}) {
    if (!part->is_none() && !part->is_integer())
      return absl::InvalidArgumentError(absl::StrCat("a bound of a slice is ", Describe(*part)));
  }
  Slice slice{0, size, step.is_none() ? 1 : step.integer()};
  if (slice.step == 0) return absl::InvalidArgumentError("the step of a slice is 0");
  slice.step = std::clamp(slice.step, -size - 1, size + 1);
  const bool back = slice.step < 0;
  const int64_t low = back ? -1 : 0, high = back ? size - 1 : size;
  const auto bound = [&](const Value& value, int64_t fallback) {
    if (value.is_none()) return fallback;
    const int64_t index = std::clamp(value.integer(), -size - 1, size + 1);
    return std::clamp(index < 0 ? index + size : index, low, high);
  };
  slice.start = bound(start, back ? high : low);
  slice.stop = bound(stop, back ? low : high);
  return slice;
}

class Interpreter {
 public:
  Interpreter(absl::Time now, const Limits& limits) : now_(now), limits_(limits), budget_(limits.work) {}

  absl::StatusOr<std::string> Run(const std::vector<Statement>& body, Scope* root) {
    root_ = root;
    REIN_RETURN_IF_ERROR(Execute(body, root).status());
    return std::move(output_);
  }

 private:
  absl::StatusOr<Flow> Execute(const std::vector<Statement>& body, Scope* scope) {
    for (const Statement& statement : body) {
      REIN_RETURN_IF_ERROR(AtLine(statement.line, budget_.Charge(1)));
      REIN_ASSIGN_OR_RETURN(const Flow flow, ExecuteOne(statement, scope));
      if (flow != Flow::kNext) return flow;
    }
    return Flow::kNext;
  }

  absl::StatusOr<Flow> ExecuteOne(const Statement& statement, Scope* scope) {
    switch (statement.kind) {
      case Statement::Kind::kText:
        return Next(Write(statement.line, statement.text));
      case Statement::Kind::kPrint:
        return Next(Print(statement, scope));
      case Statement::Kind::kIf:
        return ExecuteIf(statement, scope);
      case Statement::Kind::kFor:
        return ExecuteFor(statement, scope);
      case Statement::Kind::kSet:
        return Next(ExecuteSet(statement, scope));
      case Statement::Kind::kSetBlock:
        return Next(ExecuteSetBlock(statement, scope));
      case Statement::Kind::kMacro:
        scope->Set(statement.text, Value(Value::Macro{&statement}));
        return Flow::kNext;
      case Statement::Kind::kGeneration:
        return Next(ExecuteGeneration(statement, scope));
      case Statement::Kind::kBreak:
        return Flow::kBreak;
      case Statement::Kind::kContinue:
        break;
    }
    return Flow::kContinue;
  }

  static absl::StatusOr<Flow> Next(const absl::Status& status) {
    if (!status.ok()) return status;
    return Flow::kNext;
  }

  absl::Status Write(int line, absl::string_view text) {
    output_.append(text.data(), text.size());
    if (static_cast<int64_t>(output_.size()) <= limits_.output_bytes) return absl::OkStatus();
    return AtLine(line, absl::ResourceExhaustedError(
                            absl::StrCat("the chat template writes over ", limits_.output_bytes, " bytes")));
  }

  absl::Status Print(const Statement& statement, Scope* scope) {
    REIN_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.value, *scope));
    REIN_RETURN_IF_ERROR(AtLine(statement.line, budget_.Charge(SizeOf(value))));
    return Write(statement.line, ToText(value));
  }

  absl::StatusOr<Flow> ExecuteIf(const Statement& statement, Scope* scope) {
    for (const Statement::Branch& branch : statement.branches) {
      if (branch.condition != nullptr) {
        REIN_ASSIGN_OR_RETURN(const Value value, Evaluate(*branch.condition, *scope));
        if (!IsTrue(value)) continue;
      }
      return Execute(branch.body, scope);
    }
    return Flow::kNext;
  }

  absl::Status Assign(const Statement& statement, const Value& value, Scope* scope) {
    if (statement.targets.size() == 1) {
      scope->Set(statement.targets.front(), value);
      return absl::OkStatus();
    }
    absl::StatusOr<std::vector<Value>> items = ItemsOf(value);
    if (!items.ok()) return AtLine(statement.line, items.status());
    if (items->size() != statement.targets.size()) {
      return AtLine(statement.line, absl::InvalidArgumentError(absl::StrCat(
                                        items->size(), " values for ", statement.targets.size(), " names")));
    }
    for (size_t i = 0; i < items->size(); ++i) scope->Set(statement.targets[i], (*items)[i]);
    return absl::OkStatus();
  }

  // The items of a loop that pass its condition.
  absl::StatusOr<std::vector<Value>> LoopItems(const Statement& loop, Scope* scope) {
    REIN_ASSIGN_OR_RETURN(const Value value, Evaluate(*loop.value, *scope));
    absl::StatusOr<std::vector<Value>> items = ItemsOf(value);
    if (!items.ok()) return AtLine(loop.line, items.status());
    REIN_RETURN_IF_ERROR(AtLine(loop.line, budget_.Charge(static_cast<int64_t>(items->size()))));
    if (loop.condition == nullptr) return items;
    std::vector<Value> kept;
    for (const Value& item : *items) {
      Scope inner(scope);
      REIN_RETURN_IF_ERROR(Assign(loop, item, &inner));
      REIN_ASSIGN_OR_RETURN(const Value keep, Evaluate(*loop.condition, inner));
      if (IsTrue(keep)) kept.push_back(item);
    }
    return kept;
  }

  // What the name "loop" stands for in pass `index`.
  static absl::StatusOr<Value> LoopState(const std::vector<Value>& items, size_t index) {
    const auto i = static_cast<int64_t>(index), size = static_cast<int64_t>(items.size());
    const Value none(Value::Undefined{"there is no such item"});
    return Value::OfDict({{"index", Value(i + 1)},
                          {"index0", Value(i)},
                          {"revindex", Value(size - i)},
                          {"revindex0", Value(size - i - 1)},
                          {"first", Value(i == 0)},
                          {"last", Value(i + 1 == size)},
                          {"length", Value(size)},
                          {"previtem", i == 0 ? none : items[index - 1]},
                          {"nextitem", i + 1 == size ? none : items[index + 1]}});
  }

  absl::StatusOr<Flow> ExecuteFor(const Statement& loop, Scope* scope) {
    REIN_ASSIGN_OR_RETURN(const std::vector<Value> items, LoopItems(loop, scope));
    // As in Jinja, "else" follows when no pass came to its end, so also when every one was left early.
    bool ended = false;
    for (size_t i = 0; i < items.size(); ++i) {
      REIN_RETURN_IF_ERROR(AtLine(loop.line, budget_.Charge(10)));
      Scope inner(scope);
      REIN_ASSIGN_OR_RETURN(Value state, LoopState(items, i));
      inner.Set("loop", std::move(state));
      REIN_RETURN_IF_ERROR(Assign(loop, items[i], &inner));
      REIN_ASSIGN_OR_RETURN(const Flow flow, Execute(loop.body, &inner));
      if (flow == Flow::kBreak) break;
      ended = ended || flow == Flow::kNext;
    }
    if (ended) return Flow::kNext;
    Scope inner(scope);
    return Execute(loop.otherwise, &inner);
  }

  absl::Status ExecuteSet(const Statement& statement, Scope* scope) {
    REIN_ASSIGN_OR_RETURN(const Value value, Evaluate(*statement.value, *scope));
    if (statement.text.empty()) return Assign(statement, value, scope);
    const Value* target = scope->Find(statement.targets.front());
    if (target == nullptr || !target->is_namespace() || value.is_namespace()) {
      return AtLine(statement.line,
                    absl::InvalidArgumentError(
                        absl::StrCat("cannot set ", statement.targets.front(), ".", statement.text,
                                     "; only fields of a namespace() can be set, and not to a namespace")));
    }
    target->fields().fields[statement.text] = value;
    return absl::OkStatus();
  }

  // What `body` writes.
  absl::StatusOr<std::string> Capture(const std::vector<Statement>& body, Scope* scope) {
    std::string outer = std::exchange(output_, std::string());
    const absl::Status status = Execute(body, scope).status();
    std::swap(output_, outer);
    if (!status.ok()) return status;
    return outer;
  }

  absl::Status ExecuteSetBlock(const Statement& statement, Scope* scope) {
    Scope inner(scope);
    REIN_ASSIGN_OR_RETURN(std::string text, Capture(statement.body, &inner));
    REIN_RETURN_IF_ERROR(AtLine(statement.line, budget_.Charge(static_cast<int64_t>(text.size()))));
    scope->Set(statement.targets.front(), Value(std::move(text)));
    return absl::OkStatus();
  }

  absl::Status ExecuteGeneration(const Statement& statement, Scope* scope) {
    Scope inner(scope);
    return Execute(statement.body, &inner).status();
  }

  absl::StatusOr<Value> Evaluate(const Expression& node, const Scope& scope) {
    REIN_RETURN_IF_ERROR(AtLine(node.line, budget_.Charge(1)));
    switch (node.kind) {
      case Expression::Kind::kConstant:
        return node.constant;
      case Expression::Kind::kName:
        return EvaluateName(node, scope);
      case Expression::Kind::kNot:
      case Expression::Kind::kAnd:
      case Expression::Kind::kOr:
      case Expression::Kind::kConditional:
        return EvaluateLogic(node, scope);
      default:
        break;
    }
    // The operands are evaluated first; a null one stands for none.
    std::vector<Value> operands;
    for (const ExpressionPtr& child : node.children) {
      operands.emplace_back(Value::None{});
      if (child == nullptr) continue;
      REIN_ASSIGN_OR_RETURN(operands.back(), Evaluate(*child, scope));
    }
    Arguments arguments;
    REIN_RETURN_IF_ERROR(EvaluateArguments(node, scope, &arguments));
    absl::StatusOr<Value> value = Apply(node, scope, operands, arguments);
    if (!value.ok() && !absl::StartsWith(value.status().message(), "line "))
      return AtLine(node.line, value.status());
    return value;
  }

  static absl::StatusOr<Value> EvaluateName(const Expression& node, const Scope& scope) {
    if (const Value* value = scope.Find(node.name); value != nullptr) return *value;
    // Templates ask whether a function is defined before they call it.
    if (FindBuiltin(Builtin::kFunction, node.name) != nullptr) return Value(Value::Macro{nullptr});
    return Value(Value::Undefined{node.name});
  }

  absl::StatusOr<Value> EvaluateLogic(const Expression& node, const Scope& scope) {
    const bool conditional = node.kind == Expression::Kind::kConditional;
    REIN_ASSIGN_OR_RETURN(Value first, Evaluate(*node.children[conditional ? 1 : 0], scope));
    const bool is_true = IsTrue(first);
    switch (node.kind) {
      case Expression::Kind::kNot:
        return Value(!is_true);
      case Expression::Kind::kAnd:
        return is_true ? Evaluate(*node.children[1], scope) : first;
      case Expression::Kind::kOr:
        return is_true ? first : Evaluate(*node.children[1], scope);
      default:
        break;
    }
    if (is_true) return Evaluate(*node.children[0], scope);
    if (node.children[2] != nullptr) return Evaluate(*node.children[2], scope);
    return Value(Value::Undefined{"a conditional without else"});
  }

  absl::Status EvaluateArguments(const Expression& node, const Scope& scope, Arguments* arguments) {
    for (const ExpressionPtr& argument : node.arguments) {
      REIN_ASSIGN_OR_RETURN(Value value, Evaluate(*argument, scope));
      arguments->positional.push_back(std::move(value));
    }
    for (const auto& [name, argument] : node.named) {
      REIN_ASSIGN_OR_RETURN(Value value, Evaluate(*argument, scope));
      arguments->named.emplace_back(name, std::move(value));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Value> Apply(const Expression& node, const Scope& scope, std::vector<Value>& operands,
                              const Arguments& arguments) {
    switch (node.kind) {
      case Expression::Kind::kList:
      case Expression::Kind::kTuple:
        return Value::OfList(std::move(operands), node.kind == Expression::Kind::kTuple);
      case Expression::Kind::kDict:
        return MakeDict(operands);
      case Expression::Kind::kAttribute:
        return GetAttribute(operands[0], node.name);
      case Expression::Kind::kItem:
        REIN_RETURN_IF_ERROR(budget_.Charge(SizeOf(operands[0]) / 64));
        return ElementOf(operands[0], operands[1]);
      case Expression::Kind::kSlice:
        return GetSlice(operands);
      case Expression::Kind::kCall:
        return Call(node, scope, arguments);
      case Expression::Kind::kMethod:
        return CallMethod(node.name, operands[0], arguments, &budget_);
      case Expression::Kind::kFilter:
        return ApplyFilter(node.name, operands[0], arguments, &budget_);
      case Expression::Kind::kTest: {
        REIN_RETURN_IF_ERROR(budget_.Charge(SizeOf(operands[0]) / 8));
        REIN_ASSIGN_OR_RETURN(const bool passes, ApplyTest(node.name, operands[0], arguments));
        return Value(passes);
      }
      case Expression::Kind::kNegative:
        if (!operands[0].is_integer()) return WrongOperands("-", operands[0], operands[0]);
        return Arithmetic("-", 0, operands[0].integer());
      case Expression::Kind::kCompare:
        return CompareChain(node, operands);
      default:
        return Combine(node.name, operands[0], operands[1]);
    }
  }

  static absl::StatusOr<Value> MakeDict(const std::vector<Value>& operands) {
    std::vector<std::pair<std::string, Value>> items;
    for (size_t i = 0; i < operands.size(); i += 2) {
      if (!operands[i].is_string())
        return absl::InvalidArgumentError(absl::StrCat("a key is ", Describe(operands[i]), ", not a string"));
      const auto known = std::find_if(items.begin(), items.end(),
                                      [&](const auto& item) { return item.first == operands[i].string(); });
      if (known != items.end()) {
        known->second = operands[i + 1];
      } else {
        items.emplace_back(operands[i].string(), operands[i + 1]);
      }
    }
    return Value::OfDict(std::move(items));
  }

  static absl::StatusOr<Value> GetAttribute(const Value& object, const std::string& name) {
    // Python finds the method first, and a template that means the element would get something else there.
    if (object.is_dict() && IsDictMethodName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(".", name, " is a method of mappings; write ['", name, "'] for the element"));
    }
    return ElementOf(object, Value(name));
  }

  absl::StatusOr<Value> GetSlice(const std::vector<Value>& operands) {
    const Value& object = operands[0];
    if (!object.is_list() && !object.is_string())
      return absl::InvalidArgumentError(absl::StrCat("no slice of ", Describe(object)));
    REIN_RETURN_IF_ERROR(budget_.Charge(SizeOf(object) / 8));
    REIN_ASSIGN_OR_RETURN(const std::vector<Value> items, ItemsOf(object));
    REIN_ASSIGN_OR_RETURN(const Slice slice,
                          Indices(operands[1], operands[2], operands[3], static_cast<int64_t>(items.size())));
    std::vector<Value> taken;
    for (int64_t i = slice.start; slice.step > 0 ? i < slice.stop : i > slice.stop; i += slice.step)
      taken.push_back(items[static_cast<size_t>(i)]);
    if (object.is_list()) return Value::OfList(std::move(taken), object.list().tuple);
    std::string text;
    for (const Value& character : taken) text += character.string();
    return Value(std::move(text));
  }

  absl::StatusOr<Value> CompareChain(const Expression& node, const std::vector<Value>& operands) {
    for (size_t i = 0; i < node.operators.size(); ++i) {
      REIN_RETURN_IF_ERROR(budget_.Charge((SizeOf(operands[i]) + SizeOf(operands[i + 1])) / 8));
      REIN_ASSIGN_OR_RETURN(const bool holds, Holds(node.operators[i], operands[i], operands[i + 1]));
      if (!holds) return Value(false);
    }
    return Value(true);
  }

  static absl::StatusOr<bool> Holds(const std::string& operation, const Value& a, const Value& b) {
    if (operation == "==") return Equal(a, b);
    if (operation == "!=") return !Equal(a, b);
    if (operation == "in") return Contains(b, a);
    if (operation == "not in") {
      REIN_ASSIGN_OR_RETURN(const bool inside, Contains(b, a));
      return !inside;
    }
    REIN_ASSIGN_OR_RETURN(const int order, Compare(a, b));
    if (operation == "<") return order < 0;
    if (operation == "<=") return order <= 0;
    return operation == ">" ? order > 0 : order >= 0;
  }

  static absl::Status WrongOperands(const std::string& operation, const Value& a, const Value& b) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", operation, "\" cannot take ", Describe(a), " and ", Describe(b)));
  }

  absl::StatusOr<Value> Combine(const std::string& operation, const Value& a, const Value& b) {
    REIN_RETURN_IF_ERROR(budget_.Charge((SizeOf(a) + SizeOf(b)) / 8));
    if (operation == "~") return Concatenate(ToText(a), ToText(b));
    if (operation == "+" && a.is_string() && b.is_string()) return Concatenate(a.string(), b.string());
    if (operation == "+" && a.is_list() && b.is_list() && a.list().tuple == b.list().tuple) {
      std::vector<Value> items = a.list().items;
      items.insert(items.end(), b.list().items.begin(), b.list().items.end());
      return Value::OfList(std::move(items), a.list().tuple);
    }
    if (!a.is_integer() || !b.is_integer()) return WrongOperands(operation, a, b);
    return Arithmetic(operation, a.integer(), b.integer());
  }

  absl::StatusOr<Value> Concatenate(const std::string& a, const std::string& b) const {
    if (static_cast<int64_t>(a.size() + b.size()) <= limits_.output_bytes) return Value(a + b);
    return absl::ResourceExhaustedError(absl::StrCat("a string has over ", limits_.output_bytes, " bytes"));
  }

  absl::StatusOr<Value> Call(const Expression& node, const Scope& scope, const Arguments& arguments) {
    const Value* callee = scope.Find(node.name);
    if (callee != nullptr && callee->is_macro() && callee->macro() != nullptr)
      return CallMacro(*callee->macro(), arguments);
    if (callee != nullptr)
      return absl::InvalidArgumentError(
          absl::StrCat("\"", node.name, "\" is ", Describe(*callee), ", no macro"));
    if (FindBuiltin(Builtin::kFunction, node.name) == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("the macro \"", node.name, "\" is not defined yet"));
    return CallFunction(node.name, arguments, now_, &budget_);
  }

  absl::StatusOr<Value> CallMacro(const Statement& macro, const Arguments& arguments) {
    if (macro_calls_ >= limits_.macro_calls) {
      return absl::ResourceExhaustedError(
          absl::StrCat("macros call one another over ", limits_.macro_calls, " deep"));
    }
    ++macro_calls_;
    absl::StatusOr<Value> value = RunMacro(macro, arguments);
    --macro_calls_;
    return value;
  }

  absl::StatusOr<Value> RunMacro(const Statement& macro, const Arguments& arguments) {
    Signature signature = {macro.text, {}};
    for (const Statement::Parameter& parameter : macro.parameters)
      signature.parameters.push_back(parameter.name);
    REIN_ASSIGN_OR_RETURN(const std::vector<Value> bound, Bind(signature, arguments));
    Scope scope(root_);
    for (size_t i = 0; i < bound.size(); ++i) {
      const Statement::Parameter& parameter = macro.parameters[i];
      Value value = bound[i];
      if (value.is_undefined() && parameter.fallback != nullptr) {
        REIN_ASSIGN_OR_RETURN(value, Evaluate(*parameter.fallback, scope));
      }
      scope.Set(parameter.name, std::move(value));
    }
    REIN_ASSIGN_OR_RETURN(std::string text, Capture(macro.body, &scope));
    REIN_RETURN_IF_ERROR(budget_.Charge(static_cast<int64_t>(text.size())));
    return Value(std::move(text));
  }

  absl::Time now_;
  const Limits limits_;
  Budget budget_;
  const Scope* root_ = nullptr;
  std::string output_;
  int macro_calls_ = 0;
};

}  // namespace

absl::StatusOr<std::string> Render(const std::vector<Statement>& body,
                                   std::vector<std::pair<std::string, Value>> globals, absl::Time now,
                                   const Limits& limits) {
  Scope outside(nullptr), root(&outside);
  for (auto& [name, value] : globals) outside.Set(name, std::move(value));
  return Interpreter(now, limits).Run(body, &root);
}

}  // namespace rein::models::jinja
