// The functions, filters, tests and methods that templates may use; each is known when a template is parsed.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "models/chat_template/value.h"

namespace rein::models::jinja {

// Work that a rendering may do, so that no template runs for ever or fills the memory.
class Budget {
 public:
  explicit Budget(int64_t work) : left_(work), all_(work) {}
  // Errors: RESOURCE_EXHAUSTED.
  absl::Status Charge(int64_t work);

 private:
  int64_t left_, all_;
};

struct Signature {
  absl::string_view name;
  std::vector<absl::string_view> parameters;  // behind the value that it is applied to
  size_t required = 0;
  bool variadic = false;  // takes what it gets; checks itself
};

enum class Builtin { kFunction, kFilter, kTest, kMethod };

// nullptr when there is none.
const Signature* FindBuiltin(Builtin kind, absl::string_view name);
// Their names, for an error.
std::string BuiltinNames(Builtin kind);
// Methods of Python's dict: an attribute of that name is no element.
bool IsDictMethodName(absl::string_view name);

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Positional and named arguments in the order of the parameters; what is missing is undefined. Errors:
// INVALID_ARGUMENT.
absl::StatusOr<std::vector<Value>> Bind(const Signature& signature, const Arguments& arguments);

// Errors of all: INVALID_ARGUMENT (a value of the wrong kind), RESOURCE_EXHAUSTED (the budget).
absl::StatusOr<Value> CallFunction(const std::string& name, const Arguments& arguments, absl::Time now,
                                   Budget* budget);
absl::StatusOr<Value> ApplyFilter(const std::string& name, const Value& value, const Arguments& arguments,
                                  Budget* budget);
absl::StatusOr<bool> ApplyTest(const std::string& name, const Value& value, const Arguments& arguments);
absl::StatusOr<Value> CallMethod(const std::string& name, const Value& object, const Arguments& arguments,
                                 Budget* budget);

// The elements of what a loop may go over: a list's items, a mapping's keys, a string's characters; nothing
// for undefined.
absl::StatusOr<std::vector<Value>> ItemsOf(const Value& value);
// value[key] and value.name; undefined when there is none. Errors: INVALID_ARGUMENT (value is undefined).
absl::StatusOr<Value> ElementOf(const Value& value, const Value& key);
absl::StatusOr<bool> Contains(const Value& container, const Value& value);
// -1, 0, 1. Errors: INVALID_ARGUMENT (no order).
absl::StatusOr<int> Compare(const Value& a, const Value& b);

}  // namespace rein::models::jinja
