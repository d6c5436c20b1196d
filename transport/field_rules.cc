#include "transport/field_rules.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "transport/nearest.h"

namespace rein::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

const v1::FieldRule& RuleOf(const FieldDescriptor& field) { return field.options().GetExtension(v1::rule); }

std::string Join(const std::string& path, const std::string& name) {
  return path.empty() ? name : path + "." + name;
}

// Calls `visit` for every field of `message` and of the messages in it; singular messages are made where
// absent.
absl::Status VisitFields(
    const std::string& path, Message* message,
    const std::function<absl::Status(const std::string&, const FieldDescriptor*, Message*)>& visit) {
  const auto* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const std::string place = Join(path, field->name());
    REIN_RETURN_IF_ERROR(visit(place, field, message));
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      REIN_RETURN_IF_ERROR(VisitFields(place, reflection->MutableMessage(message, field), visit));
      continue;
    }
    for (int k = 0; k < reflection->FieldSize(*message, field); ++k) {
      REIN_RETURN_IF_ERROR(VisitFields(Join(place, absl::StrCat(k)),
                                       reflection->MutableRepeatedMessage(message, field, k), visit));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNumber(const std::string& where, const FieldDescriptor& field, double value) {
  const v1::FieldRule& rule = RuleOf(field);
  const bool low = rule.has_min() && (value < rule.min() || (rule.exclusive_min() && value == rule.min()));
  const bool high = rule.has_max() && value > rule.max();
  if (!low && !high) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": ", FormatNumber(value), " is out of range; allowed: ", Allowed(rule)));
}

absl::Status CheckWord(const std::string& where, const FieldDescriptor& field, const std::string& value) {
  const auto& words = RuleOf(field).one_of();
  if (words.empty() || std::find(words.begin(), words.end(), value) != words.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": '", value, "' is not allowed", Suggestion(value, {words.begin(), words.end()})));
}

absl::Status CheckField(const std::string& where, const FieldDescriptor* field, const Message& message) {
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return CheckNumber(where, *field, reflection->GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_INT32:
      return CheckNumber(where, *field, reflection->GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return CheckNumber(where, *field, static_cast<double>(reflection->GetInt64(message, field)));
    case FieldDescriptor::CPPTYPE_STRING:
      return CheckWord(where, *field, reflection->GetString(message, field));
    default:
      return absl::OkStatus();
  }
}

}  // namespace

std::string FormatNumber(double value) {
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), value).ptr;
  return std::string(buffer, end);
}

std::string Allowed(const v1::FieldRule& rule) {
  if (rule.one_of_size() > 0) return absl::StrCat("one of ", absl::StrJoin(rule.one_of(), ", "));
  std::vector<std::string> parts;
  if (rule.has_min()) {
    parts.push_back(
        absl::StrCat(rule.exclusive_min() ? "more than " : "at least ", FormatNumber(rule.min())));
  }
  if (rule.has_max()) parts.push_back(absl::StrCat("at most ", FormatNumber(rule.max())));
  std::string text = absl::StrJoin(parts, ", ");
  if (!text.empty() && !rule.unit().empty()) absl::StrAppend(&text, " ", rule.unit());
  return text;
}

absl::Status FillDefaults(const std::string& origin, const GivenFields& given, Message* message) {
  return VisitFields("", message, [&](const std::string& path, const FieldDescriptor* field, Message* owner) {
    const v1::FieldRule& rule = RuleOf(*field);
    if (given.contains(path)) return absl::OkStatus();
    if (rule.required()) {
      const std::string allowed = Allowed(rule);
      return absl::InvalidArgumentError(absl::StrCat(origin, ": ", path, " is missing; it must be given",
                                                     allowed.empty() ? "" : ", ", allowed));
    }
    if (rule.default_().empty()) return absl::OkStatus();
    GivenFields unused;
    return SetByPath(field->name(), YAML::Load(rule.default_()), "default of " + path, owner, &unused);
  });
}

void ResolvePaths(const std::filesystem::path& base, const GivenFields* only, Message* message) {
  const auto resolve = [&](const std::string& path, const FieldDescriptor* field, Message* owner) {
    if (!RuleOf(*field).path() || (only != nullptr && !only->contains(path))) return absl::OkStatus();
    const std::string value = owner->GetReflection()->GetString(*owner, field);
    if (value.empty()) return absl::OkStatus();
    const std::filesystem::path whole = std::filesystem::absolute(base) / value;
    owner->GetReflection()->SetString(owner, field, whole.lexically_normal().string());
    return absl::OkStatus();
  };
  VisitFields("", message, resolve).IgnoreError();  // resolve does not fail
}

absl::Status CheckRules(const std::string& origin, const Message& message) {
  std::unique_ptr<Message> copy(message.New());
  copy->CopyFrom(message);
  return VisitFields("", copy.get(),
                     [&](const std::string& path, const FieldDescriptor* field, Message* owner) {
                       if (field->is_repeated()) return absl::OkStatus();
                       return CheckField(absl::StrCat(origin, ": ", path), field, *owner);
                     });
}

}  // namespace rein::transport
