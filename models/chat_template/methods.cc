#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/chat_template/builtins.h"
#include "models/chat_template/strings.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

absl::Status WrongArgument(const std::string& method, const Value& value) {
  return absl::InvalidArgumentError(absl::StrCat("the argument of .", method, "() is ", Describe(value)));
}

absl::StatusOr<Value> Split(const std::string& text, const Value& separator, const Value& most) {
  const int64_t limit = most.is_integer() ? most.integer() : -1;
  std::vector<Value> parts;
  if (separator.is_undefined() || separator.is_none()) {
    for (std::string& word : SplitWhitespace(text, limit)) parts.emplace_back(std::move(word));
    return Value::OfList(std::move(parts));
  }
  if (!separator.is_string() || separator.string().empty()) return WrongArgument("split", separator);
  size_t at = 0;
  for (size_t found = text.find(separator.string());
       found != std::string::npos && (limit < 0 || static_cast<int64_t>(parts.size()) < limit);
       found = text.find(separator.string(), at)) {
    parts.emplace_back(text.substr(at, found - at));
    at = found + separator.string().size();
  }
  parts.emplace_back(text.substr(at));
  return Value::OfList(std::move(parts));
}

// Whether `text` begins or ends with a string, or with one of several in a tuple.
absl::StatusOr<Value> HasEnd(const std::string& method, const std::string& text, const Value& argument) {
  std::vector<Value> ends = {argument};
  if (argument.is_list() && argument.list().tuple) ends = argument.list().items;
  for (const Value& end : ends) {
    if (!end.is_string()) return WrongArgument(method, end);
    if (method == "startswith" ? absl::StartsWith(text, end.string()) : absl::EndsWith(text, end.string()))
      return Value(true);
  }
  return Value(false);
}

int64_t CountOf(const std::string& text, const std::string& part) {
  int64_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++count;
  return count;
}

absl::StatusOr<Value> Strip(const std::string& method, const std::string& text, const Value& argument) {
  if (!argument.is_undefined() && !argument.is_none() && !argument.is_string())
    return WrongArgument(method, argument);
  const std::string characters = argument.is_string() ? argument.string() : "";
  absl::string_view stripped = text;
  if (method != "rstrip") stripped = StripLeft(stripped, characters);
  if (method != "lstrip") stripped = StripRight(stripped, characters);
  return Value(stripped);
}

// find, count, join and replace, whose arguments are strings.
absl::StatusOr<Value> WithText(const std::string& method, const std::string& text,
                               const std::vector<Value>& bound, Budget* budget) {
  if (method == "join") {
    REIN_ASSIGN_OR_RETURN(const std::vector<Value> items, ItemsOf(bound[0]));
    for (const Value& item : items) {
      if (!item.is_string()) return WrongArgument(method, item);
    }
    return Join(items, text, budget);
  }
  if (!bound[0].is_string()) return WrongArgument(method, bound[0]);
  const std::string& part = bound[0].string();
  if (method == "replace") {
    if (!bound[1].is_string()) return WrongArgument(method, bound[1]);
    return Replace(text, bound[0], bound[1], bound[2], budget);
  }
  if (part.empty()) return WrongArgument(method, bound[0]);
  if (method == "count") return Value(CountOf(text, part));
  const size_t found = text.find(part);
  return Value(found == std::string::npos ? int64_t{-1}
                                          : CountCharacters(absl::string_view(text).substr(0, found)));
}

absl::StatusOr<Value> OfString(const std::string& method, const std::string& text,
                               const std::vector<Value>& bound, Budget* budget) {
  if (method == "strip" || method == "lstrip" || method == "rstrip") return Strip(method, text, bound[0]);
  if (method == "upper") return Value(Upper(text));
  if (method == "lower") return Value(Lower(text));
  if (method == "capitalize") return Value(Capitalize(text));
  if (method == "title") return Value(Title(text));
  if (method == "split") return Split(text, bound[0], bound[1]);
  if (method == "startswith" || method == "endswith") return HasEnd(method, text, bound[0]);
  return WithText(method, text, bound, budget);
}

absl::StatusOr<Value> OfDict(const std::string& method, const Value& object, const std::vector<Value>& bound,
                             Budget* budget) {
  if (method == "items") return ApplyFilter("items", object, {}, budget);
  if (method == "get") {
    const Value* item = bound[0].is_string() ? object.dict().Find(bound[0].string()) : nullptr;
    if (item != nullptr) return *item;
    return bound[1].is_undefined() ? Value(Value::None{}) : bound[1];
  }
  std::vector<Value> items;
  for (const auto& [key, item] : object.dict().items) items.push_back(method == "keys" ? Value(key) : item);
  return Value::OfList(std::move(items));
}

bool IsDictMethod(const std::string& method) {
  return method == "get" || method == "items" || method == "keys" || method == "values";
}

}  // namespace

absl::StatusOr<Value> CallMethod(const std::string& name, const Value& object, const Arguments& arguments,
                                 Budget* budget) {
  REIN_RETURN_IF_ERROR(budget->Charge(1 + SizeOf(object) / 8));
  REIN_ASSIGN_OR_RETURN(std::vector<Value> bound, Bind(*FindBuiltin(Builtin::kMethod, name), arguments));
  bound.resize(3);
  if (object.is_dict() && IsDictMethod(name)) return OfDict(name, object, bound, budget);
  if (object.is_string() && !IsDictMethod(name)) return OfString(name, object.string(), bound, budget);
  return absl::InvalidArgumentError(absl::StrCat(Describe(object), " has no method .", name, "()"));
}

}  // namespace rein::models::jinja
