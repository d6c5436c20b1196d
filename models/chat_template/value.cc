#include "models/chat_template/value.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "models/chat_template/text.h"

namespace rein::models::jinja {
namespace {

constexpr int kMaxDepth = 100;
constexpr int64_t kMaxSize = int64_t{32} << 20;

int DepthOf(const Value& value) {
  if (value.is_list()) return value.list().depth;
  return value.is_dict() ? value.dict().depth : 0;
}

// Counts `value` as an element of `container`.
template <typename Container>
absl::Status Enter(const Value& value, Container* container) {
  if (value.is_namespace()) return absl::InvalidArgumentError("a namespace cannot be an element");
  container->depth = std::max(container->depth, DepthOf(value) + 1);
  container->size += SizeOf(value);
  if (container->depth > kMaxDepth)
    return absl::ResourceExhaustedError(absl::StrCat("values are nested over ", kMaxDepth, " deep"));
  if (container->size > kMaxSize)
    return absl::ResourceExhaustedError(absl::StrCat("a list or mapping has over ", kMaxSize, " bytes"));
  return absl::OkStatus();
}

bool EqualLists(const List& a, const List& b) {
  return a.tuple == b.tuple &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), Equal);
}

bool EqualDicts(const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
           const Value* other = b.Find(item.first);
           return other != nullptr && Equal(item.second, *other);
         });
}

std::string ListRepr(const List& list) {
  std::string out(1, list.tuple ? '(' : '[');
  for (size_t i = 0; i < list.items.size(); ++i)
    absl::StrAppend(&out, i == 0 ? "" : ", ", ToRepr(list.items[i]));
  if (list.tuple && list.items.size() == 1) out.push_back(',');
  out.push_back(list.tuple ? ')' : ']');
  return out;
}

std::string DictRepr(const Dict& dict) {
  std::string out = "{";
  for (const auto& [key, value] : dict.items)
    absl::StrAppend(&out, out.size() == 1 ? "" : ", ", Quoted(key), ": ", ToRepr(value));
  return out + "}";
}

}  // namespace

absl::StatusOr<Value> Value::OfList(std::vector<Value> items, bool tuple) {
  List list{std::move(items), tuple};
  for (const Value& item : list.items) REIN_RETURN_IF_ERROR(Enter(item, &list));
  Value value;
  value.value_ = std::make_shared<const List>(std::move(list));
  return value;
}

absl::StatusOr<Value> Value::OfDict(std::vector<std::pair<std::string, Value>> items) {
  Dict dict{std::move(items)};
  for (const auto& [key, item] : dict.items) {
    REIN_RETURN_IF_ERROR(Enter(item, &dict));
    dict.size += static_cast<int64_t>(key.size());
  }
  Value value;
  value.value_ = std::make_shared<const Dict>(std::move(dict));
  return value;
}

const Value* Dict::Find(absl::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

bool IsTrue(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (value.is_integer()) return value.integer() != 0;
  if (value.is_string()) return !value.string().empty();
  if (value.is_list()) return !value.list().items.empty();
  return !value.is_dict() || !value.dict().items.empty();
}

bool Equal(const Value& a, const Value& b) {
  if (a.is_integer() && b.is_integer()) return a.integer() == b.integer();
  if (a.is_string() && b.is_string()) return a.string() == b.string();
  if (a.is_list() && b.is_list()) return EqualLists(a.list(), b.list());
  if (a.is_dict() && b.is_dict()) return EqualDicts(a.dict(), b.dict());
  if (a.is_namespace() && b.is_namespace()) return &a.fields() == &b.fields();
  if (a.is_macro() && b.is_macro()) return a.macro() == b.macro();
  return (a.is_undefined() && b.is_undefined()) || (a.is_none() && b.is_none());
}

std::string ToText(const Value& value) {
  if (value.is_undefined()) return "";
  return value.is_string() ? value.string() : ToRepr(value);
}

std::string ToRepr(const Value& value) {
  if (value.is_undefined()) return "Undefined";
  if (value.is_none()) return "None";
  if (value.is_bool()) return value.integer() != 0 ? "True" : "False";
  if (value.is_integer()) return absl::StrCat(value.integer());
  if (value.is_string()) return Quoted(value.string());
  if (value.is_list()) return ListRepr(value.list());
  if (value.is_dict()) return DictRepr(value.dict());
  return value.is_namespace() ? "<Namespace>" : "<Macro>";
}

int64_t SizeOf(const Value& value) {
  if (value.is_string()) return 8 + static_cast<int64_t>(value.string().size());
  if (value.is_list()) return value.list().size;
  return value.is_dict() ? value.dict().size : 8;
}

std::string Describe(const Value& value) {
  if (value.is_undefined()) return absl::StrCat("undefined (", value.undefined_name(), ")");
  if (value.is_none()) return "none";
  if (value.is_bool()) return "a boolean";
  if (value.is_integer()) return "an integer";
  if (value.is_string()) return "a string";
  if (value.is_list()) return "a list";
  if (value.is_dict()) return "a mapping";
  return value.is_namespace() ? "a namespace" : "a macro";
}

}  // namespace rein::models::jinja
