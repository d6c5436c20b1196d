// What a chat template computes with: Python's values as far as templates need them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::models::jinja {

struct Statement;
class Value;

struct List;
struct Dict;
// The one kind of value that changes: {% set name.field = ... %}.
struct Namespace {
  std::map<std::string, Value> fields;
};

// A cheap handle: strings, lists and mappings are shared and never change.
class Value {
 public:
  // A name or element that does not exist; prints as nothing, is false, and is an error where it is used.
  struct Undefined {
    std::string name;
  };
  struct None {};
  // A macro, by the statement that defines it.
  struct Macro {
    const Statement* statement;
  };

  Value() = default;
  explicit Value(Undefined undefined) : value_(std::move(undefined)) {}
  explicit Value(None none) : value_(none) {}
  explicit Value(Macro macro) : value_(macro) {}
  explicit Value(bool value) : value_(value) {}
  explicit Value(int64_t value) : value_(value) {}
  explicit Value(std::string text) : value_(std::make_shared<const std::string>(std::move(text))) {}
  explicit Value(absl::string_view text) : Value(std::string(text)) {}
  explicit Value(const char* text) : Value(std::string(text)) {}
  explicit Value(std::shared_ptr<Namespace> fields) : value_(std::move(fields)) {}

  // Errors: RESOURCE_EXHAUSTED (nested too deeply, too large), INVALID_ARGUMENT (a namespace inside).
  static absl::StatusOr<Value> OfList(std::vector<Value> items, bool tuple = false);
  static absl::StatusOr<Value> OfDict(std::vector<std::pair<std::string, Value>> items);

  bool is_undefined() const { return std::holds_alternative<Undefined>(value_); }
  bool is_none() const { return std::holds_alternative<None>(value_); }
  bool is_bool() const { return std::holds_alternative<bool>(value_); }
  // True and False count as 1 and 0, as in Python.
  bool is_integer() const { return std::holds_alternative<int64_t>(value_) || is_bool(); }
  bool is_string() const { return std::holds_alternative<std::shared_ptr<const std::string>>(value_); }
  bool is_list() const { return std::holds_alternative<std::shared_ptr<const List>>(value_); }
  bool is_dict() const { return std::holds_alternative<std::shared_ptr<const Dict>>(value_); }
  bool is_namespace() const { return std::holds_alternative<std::shared_ptr<Namespace>>(value_); }
  bool is_macro() const { return std::holds_alternative<Macro>(value_); }

  // Each only for a value of that kind.
  const std::string& string() const { return *std::get<std::shared_ptr<const std::string>>(value_); }
  int64_t integer() const { return is_bool() ? std::get<bool>(value_) : std::get<int64_t>(value_); }
  const List& list() const { return *std::get<std::shared_ptr<const List>>(value_); }
  const Dict& dict() const { return *std::get<std::shared_ptr<const Dict>>(value_); }
  Namespace& fields() const { return *std::get<std::shared_ptr<Namespace>>(value_); }
  const Statement* macro() const { return std::get<Macro>(value_).statement; }
  const std::string& undefined_name() const { return std::get<Undefined>(value_).name; }

 private:
  std::variant<Undefined, None, bool, int64_t, std::shared_ptr<const std::string>,
               std::shared_ptr<const List>, std::shared_ptr<const Dict>, std::shared_ptr<Namespace>, Macro>
      value_;
};

struct List {
  std::vector<Value> items;
  bool tuple = false;
  int depth = 1;     // of nesting
  int64_t size = 8;  // see SizeOf
};

struct Dict {
  std::vector<std::pair<std::string, Value>> items;  // in their order; keys differ
  int depth = 1;
  int64_t size = 8;
  // nullptr when there is none.
  const Value* Find(absl::string_view key) const;
};

bool IsTrue(const Value& value);
bool Equal(const Value& a, const Value& b);
// Python's str() and repr().
std::string ToText(const Value& value);
std::string ToRepr(const Value& value);
// Bytes or so that the text of a value takes, for limits; kept, so that elements which are shared many times
// over cost nothing to count.
int64_t SizeOf(const Value& value);
// "a string", "undefined (message)", ...: for errors.
std::string Describe(const Value& value);

}  // namespace rein::models::jinja
