#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "models/chat_template/builtins.h"
#include "models/chat_template/strings.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

constexpr int64_t kMaxIndent = 16;

// "a.b.0": an element of an element.
absl::StatusOr<Value> Attribute(Value value, const Value& path) {
  if (path.is_integer()) return ElementOf(value, path);
  if (!path.is_string()) return absl::InvalidArgumentError(absl::StrCat("an attribute is ", Describe(path)));
  for (const std::string& name : std::vector<std::string>(absl::StrSplit(path.string(), '.'))) {
    int64_t index = 0;
    const Value key = absl::SimpleAtoi(name, &index) ? Value(index) : Value(name);
    REIN_ASSIGN_OR_RETURN(value, ElementOf(value, key));
  }
  return value;
}

Arguments From(const Arguments& arguments, size_t first) {
  const auto& all = arguments.positional;
  return {{all.begin() + static_cast<ptrdiff_t>(std::min(first, all.size())), all.end()}, {}};
}

// select, reject, selectattr, rejectattr: the items that pass a test, or are true without one.
absl::StatusOr<Value> Select(const std::string& name, const Value& value, const Arguments& arguments,
                             Budget* budget) {
  const bool by_attribute = name == "selectattr" || name == "rejectattr";
  const bool wanted = name == "select" || name == "selectattr";
  const size_t test = by_attribute ? 1 : 0;
  if (!arguments.named.empty() || arguments.positional.size() < test)
    return absl::InvalidArgumentError("needs an attribute, takes no named arguments");
  REIN_ASSIGN_OR_RETURN(const std::vector<Value> items, ItemsOf(value));
  std::vector<Value> kept;
  for (const Value& item : items) {
    Value tested = item;
    if (by_attribute) {
      REIN_ASSIGN_OR_RETURN(tested, Attribute(item, arguments.positional[0]));
    }
    bool passes = IsTrue(tested);
    if (arguments.positional.size() > test) {
      REIN_RETURN_IF_ERROR(budget->Charge(SizeOf(tested)));
      REIN_ASSIGN_OR_RETURN(
          passes, ApplyTest(arguments.positional[test].string(), tested, From(arguments, test + 1)));
    }
    if (passes == wanted) kept.push_back(item);
  }
  return Value::OfList(std::move(kept));
}

// map("filter", ...) or map(attribute="name", default=...).
absl::StatusOr<Value> Map(const Value& value, const Arguments& arguments, Budget* budget) {
  REIN_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(value));
  if (!arguments.positional.empty()) {
    if (!arguments.named.empty())
      return absl::InvalidArgumentError("takes a filter or an attribute, not both");
    for (Value& item : items) {
      REIN_ASSIGN_OR_RETURN(item,
                            ApplyFilter(arguments.positional[0].string(), item, From(arguments, 1), budget));
    }
    return Value::OfList(std::move(items));
  }
  static const Signature signature = {"map", {"attribute", "default"}};
  REIN_ASSIGN_OR_RETURN(const std::vector<Value> bound, Bind(signature, arguments));
  if (bound[0].is_undefined()) return absl::InvalidArgumentError("needs a filter or an attribute");
  for (Value& item : items) {
    REIN_ASSIGN_OR_RETURN(item, Attribute(item, bound[0]));
    if (item.is_undefined()) item = bound[1];
  }
  return Value::OfList(std::move(items));
}

absl::StatusOr<Value> Default(const Value& value, const Value& fallback, const Value& boolean) {
  const bool use = value.is_undefined() || (IsTrue(boolean) && !IsTrue(value));
  if (!use) return value;
  return fallback.is_undefined() ? Value("") : fallback;
}

absl::StatusOr<Value> Length(const Value& value) {
  if (value.is_string()) return Value(CountCharacters(value.string()));
  if (value.is_dict()) return Value(static_cast<int64_t>(value.dict().items.size()));
  if (value.is_list()) return Value(static_cast<int64_t>(value.list().items.size()));
  if (value.is_undefined()) return Value(int64_t{0});
  return absl::InvalidArgumentError(absl::StrCat(Describe(value), " has no length"));
}

absl::StatusOr<Value> Pairs(const Value& value) {
  if (!value.is_dict() && !value.is_undefined())
    return absl::InvalidArgumentError(absl::StrCat("needs a mapping, has ", Describe(value)));
  std::vector<Value> pairs;
  if (value.is_dict()) {
    for (const auto& [key, item] : value.dict().items) {
      REIN_ASSIGN_OR_RETURN(Value pair, Value::OfList({Value(key), item}, /*tuple=*/true));
      pairs.push_back(std::move(pair));
    }
  }
  return Value::OfList(std::move(pairs));
}

absl::StatusOr<Value> JoinItems(const Value& value, const Value& separator, const Value& attribute,
                                Budget* budget) {
  REIN_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(value));
  if (!attribute.is_undefined()) {
    for (Value& item : items) {
      REIN_ASSIGN_OR_RETURN(item, Attribute(item, attribute));
    }
  }
  return Join(items, ToText(separator), budget);
}

absl::StatusOr<Value> Json(const Value& value, const Value& ensure_ascii, const Value& indent) {
  const bool on_one_line = indent.is_undefined() || indent.is_none();
  if (!on_one_line && (!indent.is_integer() || indent.integer() < 0 || indent.integer() > kMaxIndent)) {
    return absl::InvalidArgumentError(absl::StrCat("an indent must be an integer from 0 to ", kMaxIndent));
  }
  REIN_ASSIGN_OR_RETURN(std::string text,
                        ToJson(value, IsTrue(ensure_ascii), on_one_line ? -1 : indent.integer()));
  return Value(std::move(text));
}

absl::StatusOr<Value> ToInteger(const Value& value, const Value& fallback) {
  int64_t number = 0;
  if (value.is_integer()) return Value(value.integer());
  if (value.is_string() && absl::SimpleAtoi(value.string(), &number)) return Value(number);
  return fallback.is_undefined() ? Value(int64_t{0}) : fallback;
}

absl::StatusOr<Value> Reverse(const Value& value) {
  REIN_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(value));
  std::reverse(items.begin(), items.end());
  if (!value.is_string()) return Value::OfList(std::move(items));
  std::string text;
  for (const Value& item : items) text += item.string();
  return Value(std::move(text));
}

// Filters that take a text and no arguments, and make one; nullptr for another name.
std::string (*TextFilter(const std::string& name))(absl::string_view) {
  if (name == "upper") return Upper;
  if (name == "lower") return Lower;
  return name == "capitalize" ? Capitalize : nullptr;
}

absl::StatusOr<Value> OfItems(const std::string& name, const Value& value) {
  REIN_ASSIGN_OR_RETURN(std::vector<Value> items, ItemsOf(value));
  if (name == "list") return Value::OfList(std::move(items));
  if (items.empty()) return Value(Value::Undefined{absl::StrCat("the ", name, " element of nothing")});
  return name == "first" ? items.front() : items.back();
}

}  // namespace

absl::StatusOr<Value> ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments,
                                  Budget* budget) {
  REIN_RETURN_IF_ERROR(budget->Charge(1 + SizeOf(value) / 8));
  if (name == "map") return Map(value, arguments, budget);
  if (name == "select" || name == "reject" || name == "selectattr" || name == "rejectattr")
    return Select(name, value, arguments, budget);
  REIN_ASSIGN_OR_RETURN(std::vector<Value> bound, Bind(*FindBuiltin(Builtin::kFilter, name), arguments));
  bound.resize(3);
  if (const auto transform = TextFilter(name)) return Value(transform(ToText(value)));
  if (name == "trim") {
    const std::string text = ToText(value), characters = ToText(bound[0]);
    return Value(StripLeft(StripRight(text, characters), characters));
  }
  if (name == "default" || name == "d") return Default(value, bound[0], bound[1]);
  if (name == "length" || name == "count") return Length(value);
  if (name == "list" || name == "first" || name == "last") return OfItems(name, value);
  if (name == "join") return JoinItems(value, bound[0], bound[1], budget);
  if (name == "replace") return Replace(ToText(value), bound[0], bound[1], bound[2], budget);
  if (name == "tojson") return Json(value, bound[0], bound[1]);
  if (name == "items") return Pairs(value);
  if (name == "int") return ToInteger(value, bound[0]);
  if (name == "reverse") return Reverse(value);
  return name == "string" ? Value(ToText(value)) : value;  // else "safe": nothing is escaped anyway
}

}  // namespace rein::models::jinja
