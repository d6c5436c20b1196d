#include "models/chat_template/builtins.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

constexpr int64_t kMaxRange = 100'000;

const std::vector<Signature>& Functions() {
  static const std::vector<Signature> signatures = {
      {"range", {"start", "stop", "step"}, 1}, {"namespace", {}, 0, true},      {"dict", {}, 0, true},
      {"raise_exception", {"message"}, 1},     {"strftime_now", {"format"}, 1},
  };
  return signatures;
}

const std::vector<Signature>& Filters() {
  static const std::vector<Signature> signatures = {
      {"capitalize"},
      {"count"},
      {"d", {"default_value", "boolean"}},
      {"default", {"default_value", "boolean"}},
      {"first"},
      {"int", {"default"}},
      {"items"},
      {"join", {"d", "attribute"}},
      {"last"},
      {"length"},
      {"list"},
      {"lower"},
      {"map", {}, 0, true},
      {"reject", {}, 0, true},
      {"rejectattr", {}, 1, true},
      {"replace", {"old", "new", "count"}, 2},
      {"reverse"},
      {"safe"},
      {"select", {}, 0, true},
      {"selectattr", {}, 1, true},
      {"string"},
      {"tojson", {"ensure_ascii", "indent"}},
      {"trim", {"chars"}},
      {"upper"},
  };
  return signatures;
}

const std::vector<Signature>& Tests() {
  static const std::vector<Signature> signatures = {
      {"!=", {"other"}, 1},
      {"==", {"other"}, 1},
      {"boolean"},
      {"defined"},
      {"divisibleby", {"num"}, 1},
      {"eq", {"other"}, 1},
      {"equalto", {"other"}, 1},
      {"even"},
      {"false"},
      {"ge", {"other"}, 1},
      {"gt", {"other"}, 1},
      {"in", {"seq"}, 1},
      {"integer"},
      {"iterable"},
      {"le", {"other"}, 1},
      {"lt", {"other"}, 1},
      {"mapping"},
      {"ne", {"other"}, 1},
      {"none"},
      {"number"},
      {"odd"},
      {"sequence"},
      {"string"},
      {"true"},
      {"undefined"},
  };
  return signatures;
}

const std::vector<Signature>& Methods() {
  static const std::vector<Signature> signatures = {
      {"capitalize"},
      {"count", {"sub"}, 1},
      {"endswith", {"suffix"}, 1},
      {"find", {"sub"}, 1},
      {"get", {"key", "default"}, 1},
      {"items"},
      {"join", {"iterable"}, 1},
      {"keys"},
      {"lower"},
      {"lstrip", {"chars"}},
      {"replace", {"old", "new", "count"}, 2},
      {"rstrip", {"chars"}},
      {"split", {"sep", "maxsplit"}},
      {"startswith", {"prefix"}, 1},
      {"strip", {"chars"}},
      {"title"},
      {"upper"},
      {"values"},
  };
  return signatures;
}

const std::vector<Signature>& All(Builtin kind) {
  switch (kind) {
    case Builtin::kFunction:
      return Functions();
    case Builtin::kFilter:
      return Filters();
    case Builtin::kTest:
      return Tests();
    case Builtin::kMethod:
      break;
  }
  return Methods();
}

absl::StatusOr<int64_t> Whole(const Value& value, absl::string_view what) {
  if (value.is_integer()) return value.integer();
  return absl::InvalidArgumentError(absl::StrCat(what, " must be an integer, is ", Describe(value)));
}

absl::StatusOr<Value> Range(const std::vector<Value>& bounds, Budget* budget) {
  REIN_ASSIGN_OR_RETURN(const int64_t first, Whole(bounds[0], "the bound of range()"));
  int64_t start = 0, stop = first, step = 1;
  if (!bounds[1].is_undefined()) {
    start = first;
    REIN_ASSIGN_OR_RETURN(stop, Whole(bounds[1], "the bound of range()"));
  }
  if (!bounds[2].is_undefined()) {
    REIN_ASSIGN_OR_RETURN(step, Whole(bounds[2], "the step of range()"));
  }
  if (step == 0) return absl::InvalidArgumentError("the step of range() must not be 0");
  constexpr int64_t kFar = int64_t{1} << 60;  // sums stay in 64 bits
  for (int64_t* bound : {&start, &stop, &step}) *bound = std::clamp(*bound, -kFar, kFar);
  std::vector<Value> numbers;
  for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step) {
    if (static_cast<int64_t>(numbers.size()) >= kMaxRange)
      return absl::ResourceExhaustedError(absl::StrCat("range() has over ", kMaxRange, " numbers"));
    numbers.emplace_back(i);
  }
  REIN_RETURN_IF_ERROR(budget->Charge(static_cast<int64_t>(numbers.size())));
  return Value::OfList(std::move(numbers));
}

absl::StatusOr<Value> MakeNamespace(const Arguments& arguments) {
  if (!arguments.positional.empty())
    return absl::InvalidArgumentError("namespace() takes named arguments only");
  auto fields = std::make_shared<Namespace>();
  for (const auto& [name, value] : arguments.named) {
    if (value.is_namespace()) return absl::InvalidArgumentError("a namespace cannot be an element");
    fields->fields[name] = value;
  }
  return Value(std::move(fields));
}

// Python's len(), for a subscript from either end.
absl::StatusOr<Value> At(const std::vector<Value>& items, int64_t index, const std::string& name) {
  const auto size = static_cast<int64_t>(items.size());
  if (index < 0) index += size;
  if (index < 0 || index >= size) return Value(Value::Undefined{name});
  return items[static_cast<size_t>(index)];
}

absl::Status NoOrder(const Value& a, const Value& b) {
  return absl::InvalidArgumentError(absl::StrCat("no order between ", Describe(a), " and ", Describe(b)));
}

absl::StatusOr<bool> Ordered(const std::string& name, const Value& value, const Value& other) {
  REIN_ASSIGN_OR_RETURN(const int order, Compare(value, other));
  if (name == "lt") return order < 0;
  if (name == "le") return order <= 0;
  return name == "gt" ? order > 0 : order >= 0;
}

absl::StatusOr<bool> Divides(const std::string& name, const Value& value, const Value& other) {
  REIN_ASSIGN_OR_RETURN(const int64_t number, Whole(value, "a tested number"));
  if (name == "even") return number % 2 == 0;
  if (name == "odd") return number % 2 != 0;
  REIN_ASSIGN_OR_RETURN(const int64_t divisor, Whole(other, "a divisor"));
  if (divisor == 0) return absl::InvalidArgumentError("a division by 0");
  return divisor == -1 || number % divisor == 0;
}

bool IsKind(const std::string& name, const Value& value) {
  if (name == "defined") return !value.is_undefined();
  if (name == "undefined") return value.is_undefined();
  if (name == "none") return value.is_none();
  if (name == "string") return value.is_string();
  if (name == "mapping") return value.is_dict();
  if (name == "integer") return value.is_integer() && !value.is_bool();
  if (name == "number") return value.is_integer();
  if (name == "boolean") return value.is_bool();
  if (name == "true") return value.is_bool() && value.integer() != 0;
  if (name == "false") return value.is_bool() && value.integer() == 0;
  // An undefined value has no elements, but may be asked for them.
  return value.is_string() || value.is_list() || value.is_dict() || value.is_undefined();
}

}  // namespace

absl::Status Budget::Charge(int64_t work) {
  left_ -= work;
  if (left_ >= 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the chat template does more than ", all_, " steps; it may never end"));
}

const Signature* FindBuiltin(Builtin kind, absl::string_view name) {
  for (const Signature& signature : All(kind)) {
    if (signature.name == name) return &signature;
  }
  return nullptr;
}

std::string BuiltinNames(Builtin kind) {
  return absl::StrJoin(All(kind), ", ", [](std::string* out, const Signature& signature) {
    absl::StrAppend(out, signature.name);
  });
}

bool IsDictMethodName(absl::string_view name) {
  static const std::set<absl::string_view> names = {"clear",      "copy",   "fromkeys", "get",
                                                    "items",      "keys",   "pop",      "popitem",
                                                    "setdefault", "update", "values"};
  return names.count(name) > 0;
}

absl::StatusOr<std::vector<Value>> Bind(const Signature& signature, const Arguments& arguments) {
  std::vector<Value> bound(signature.parameters.size(), Value(Value::Undefined{"an argument"}));
  if (arguments.positional.size() > bound.size())
    return absl::InvalidArgumentError(
        absl::StrCat("\"", signature.name, "\" takes at most ", bound.size(), " arguments"));
  std::copy(arguments.positional.begin(), arguments.positional.end(), bound.begin());
  for (const auto& [name, value] : arguments.named) {
    const auto at = std::find(signature.parameters.begin(), signature.parameters.end(), name);
    if (at == signature.parameters.end())
      return absl::InvalidArgumentError(
          absl::StrCat("\"", signature.name, "\" has no argument \"", name, "\""));
    bound[static_cast<size_t>(at - signature.parameters.begin())] = value;
  }
  return bound;
}

absl::StatusOr<Value> CallFunction(const std::string& name, const Arguments& arguments, absl::Time now,
                                   Budget* budget) {
  if (name == "namespace") return MakeNamespace(arguments);
  if (name == "dict") {
    if (!arguments.positional.empty()) return absl::InvalidArgumentError("dict() takes named arguments only");
    return Value::OfDict(arguments.named);
  }
  REIN_ASSIGN_OR_RETURN(const std::vector<Value> bound,
                        Bind(*FindBuiltin(Builtin::kFunction, name), arguments));
  if (name == "range") return Range(bound, budget);
  if (name == "raise_exception") {
    return absl::InvalidArgumentError(
        absl::StrCat("the chat template refuses the conversation: ", ToText(bound[0])));
  }
  if (!bound[0].is_string())
    return absl::InvalidArgumentError(absl::StrCat("a format must be a string, is ", Describe(bound[0])));
  REIN_RETURN_IF_ERROR(budget->Charge(SizeOf(bound[0])));
  return Value(absl::FormatTime(bound[0].string(), now, absl::LocalTimeZone()));
}

absl::StatusOr<bool> ApplyTest(const std::string& name, const Value& value, const Arguments& arguments) {
  REIN_ASSIGN_OR_RETURN(const std::vector<Value> bound, Bind(*FindBuiltin(Builtin::kTest, name), arguments));
  if (name == "==" || name == "eq" || name == "equalto") return Equal(value, bound[0]);
  if (name == "!=" || name == "ne") return !Equal(value, bound[0]);
  if (name == "in") return Contains(bound[0], value);
  if (name == "lt" || name == "le" || name == "gt" || name == "ge") return Ordered(name, value, bound[0]);
  if (name == "even" || name == "odd") return Divides(name, value, Value());
  if (name == "divisibleby") return Divides(name, value, bound[0]);
  return IsKind(name, value);
}

absl::StatusOr<std::vector<Value>> ItemsOf(const Value& value) {
  if (value.is_list()) return value.list().items;
  std::vector<Value> items;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.dict().items) items.emplace_back(key);
  } else if (value.is_string()) {
    for (absl::string_view character : Characters(value.string())) items.emplace_back(character);
  } else if (!value.is_undefined()) {
    return absl::InvalidArgumentError(absl::StrCat(Describe(value), " has no elements"));
  }
  return items;
}

absl::StatusOr<Value> ElementOf(const Value& value, const Value& key) {
  if (value.is_undefined()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", value.undefined_name(), "\" is undefined, it has no element ", ToRepr(key)));
  }
  const std::string name = key.is_string() ? key.string() : ToRepr(key);
  if (value.is_dict() && key.is_string()) {
    const Value* item = value.dict().Find(key.string());
    return item == nullptr ? Value(Value::Undefined{name}) : *item;
  }
  if (value.is_namespace() && key.is_string()) {
    const auto& fields = value.fields().fields;
    const auto item = fields.find(key.string());
    return item == fields.end() ? Value(Value::Undefined{name}) : item->second;
  }
  if (value.is_list() && key.is_integer()) return At(value.list().items, key.integer(), name);
  if (value.is_string() && key.is_integer()) {
    REIN_ASSIGN_OR_RETURN(const std::vector<Value> characters, ItemsOf(value));
    return At(characters, key.integer(), name);
  }
  return Value(Value::Undefined{name});
}

absl::StatusOr<bool> Contains(const Value& container, const Value& value) {
  if (container.is_string()) {
    if (value.is_string()) return container.string().find(value.string()) != std::string::npos;
    return absl::InvalidArgumentError(
        absl::StrCat("only a string can be in a string, not ", Describe(value)));
  }
  if (container.is_dict()) return value.is_string() && container.dict().Find(value.string()) != nullptr;
  REIN_ASSIGN_OR_RETURN(const std::vector<Value> items, ItemsOf(container));
  return std::any_of(items.begin(), items.end(), [&](const Value& item) { return Equal(item, value); });
}

absl::StatusOr<int> Compare(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer())
    return a.integer() < b.integer() ? -1 : a.integer() > b.integer() ? 1 : 0;
  if (!a.is_string() || !b.is_string()) return NoOrder(a, b);
  const int order = a.string().compare(b.string());
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

}  // namespace rein::models::jinja
