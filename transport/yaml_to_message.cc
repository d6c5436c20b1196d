#include "transport/yaml_to_message.h"

#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "transport/nearest.h"

namespace rein::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// A list longer than this is not a job file.
constexpr size_t kMaxItems = 100000;

absl::Status Bad(const YAML::Node& node, const YamlPlace& place, const std::string& problem) {
  const int line = node.Mark().line;
  return absl::InvalidArgumentError(absl::StrCat(place.origin, line >= 0 ? absl::StrCat(":", line + 1) : "",
                                                 ": ", place.path.empty() ? "" : place.path + ": ", problem));
}

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.field_count(); ++i) names.push_back(type.field(i)->name());
  return names;
}

std::string TypeName(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return "a finite number";
    case FieldDescriptor::CPPTYPE_UINT32:
    case FieldDescriptor::CPPTYPE_UINT64:
      return "a whole number of at least 0";
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return "a map";
    case FieldDescriptor::CPPTYPE_STRING:
      return "a text";
    default:
      return "a whole number";
  }
}

// The value of a scalar field, checked against its type.
struct Scalar {
  bool boolean = false;
  int64_t integer = 0;
  uint64_t natural = 0;
  double number = 0;
  std::string text;
};

bool ParseScalar(const FieldDescriptor& field, const std::string& text, bool quoted, Scalar* value) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      value->text = text;
      return true;
    case FieldDescriptor::CPPTYPE_BOOL:
      value->boolean = text == "true";
      return !quoted && (text == "true" || text == "false");
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return !quoted && absl::SimpleAtod(text, &value->number) && std::isfinite(value->number);
    case FieldDescriptor::CPPTYPE_INT32:
      return !quoted && absl::SimpleAtoi(text, &value->integer) &&
             value->integer == static_cast<int32_t>(value->integer);
    case FieldDescriptor::CPPTYPE_INT64:
      return !quoted && absl::SimpleAtoi(text, &value->integer);
    case FieldDescriptor::CPPTYPE_UINT64:
      return !quoted && absl::SimpleAtoi(text, &value->natural);
    default:
      return false;
  }
}

void StoreScalar(const FieldDescriptor* field, const Scalar& value, Message* message) {
  const auto* reflection = message->GetReflection();
  const bool add = field->is_repeated();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      add ? reflection->AddString(message, field, value.text)
          : reflection->SetString(message, field, value.text);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, value.boolean);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->SetDouble(message, field, value.number);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->SetInt32(message, field, static_cast<int32_t>(value.integer));
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->SetInt64(message, field, value.integer);
    default:
      return reflection->SetUInt64(message, field, value.natural);
  }
}

absl::Status ConvertScalar(const YAML::Node& node, const YamlPlace& place, const FieldDescriptor* field,
                           Message* message) {
  if (!node.IsScalar()) {
    return Bad(node, place,
               absl::StrCat("has ",
                            node.IsNull()  ? "no value"
                            : node.IsMap() ? "a map"
                                           : "a list",
                            "; expected ", TypeName(*field)));
  }
  Scalar value;
  if (!ParseScalar(*field, node.Scalar(), node.Tag() == "!", &value)) {
    return Bad(node, place, absl::StrCat("'", node.Scalar(), "' is not ", TypeName(*field)));
  }
  StoreScalar(field, value, message);
  return absl::OkStatus();
}

absl::Status ConvertItem(const YAML::Node& node, const YamlPlace& place, const FieldDescriptor* field,
                         Message* message, GivenFields* given) {
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE)
    return ConvertScalar(node, place, field, message);
  const auto* reflection = message->GetReflection();
  return YamlToMessage(node, place,
                       field->is_repeated() ? reflection->AddMessage(message, field)
                                            : reflection->MutableMessage(message, field),
                       given);
}

absl::Status ConvertField(const YAML::Node& node, const YamlPlace& place, const FieldDescriptor* field,
                          Message* message, GivenFields* given) {
  given->insert(place.path);
  if (!field->is_repeated()) return ConvertItem(node, place, field, message, given);
  if (!node.IsSequence())
    return Bad(node, place, absl::StrCat("expected a list of which each is ", TypeName(*field)));
  if (node.size() > kMaxItems)
    return Bad(node, place, absl::StrCat("has ", node.size(), " items; at most ", kMaxItems));
  message->GetReflection()->ClearField(message, field);
  for (size_t i = 0; i < node.size(); ++i) {
    REIN_RETURN_IF_ERROR(
        ConvertItem(node[i], {place.origin, place.Of(absl::StrCat(i))}, field, message, given));
  }
  return absl::OkStatus();
}

absl::StatusOr<const FieldDescriptor*> FindField(const YAML::Node& at, const YamlPlace& place,
                                                 const std::string& name,
                                                 const google::protobuf::Descriptor& type) {
  const FieldDescriptor* field = type.FindFieldByName(name);
  if (field != nullptr) return field;
  return Bad(at, place, absl::StrCat("unknown key '", name, "'", Suggestion(name, FieldNames(type))));
}

// The element `index` of a list of messages; one past the end appends.
absl::StatusOr<Message*> Element(const YAML::Node& at, const YamlPlace& place, const FieldDescriptor* field,
                                 const std::string& index, Message* message) {
  const auto* reflection = message->GetReflection();
  const int size = reflection->FieldSize(*message, field);
  int number = 0;
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || !absl::SimpleAtoi(index, &number) ||
      number < 0 || number > size) {
    return Bad(at, place,
               absl::StrCat("'", index, "' is not an index of ", field->name(), "; allowed: 0 to ", size));
  }
  return number == size ? reflection->AddMessage(message, field)
                        : reflection->MutableRepeatedMessage(message, field, number);
}

}  // namespace

absl::Status YamlToMessage(const YAML::Node& node, const YamlPlace& place, Message* message,
                           GivenFields* given) {
  if (!node.IsMap()) return Bad(node, place, "expected a map of keys and values");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return Bad(entry.first, place, "a key must be a plain word");
    const std::string& name = entry.first.Scalar();
    REIN_ASSIGN_OR_RETURN(const FieldDescriptor* field,
                          FindField(entry.first, place, name, *message->GetDescriptor()));
    if (!seen.insert(name).second)
      return Bad(entry.first, place, absl::StrCat("key '", name, "' is given twice"));
    REIN_RETURN_IF_ERROR(ConvertField(entry.second, {place.origin, place.Of(name)}, field, message, given));
  }
  return absl::OkStatus();
}

absl::Status SetByPath(const std::string& path, const YAML::Node& node, const std::string& origin,
                       Message* message, GivenFields* given) {
  const std::vector<std::string> parts = absl::StrSplit(path, '.');
  YamlPlace place{origin, ""};
  for (size_t i = 0; i < parts.size(); ++i) {
    REIN_ASSIGN_OR_RETURN(const FieldDescriptor* field,
                          FindField(node, place, parts[i], *message->GetDescriptor()));
    place.path = place.Of(parts[i]);
    const bool last = i + 1 == parts.size();
    if (last) return ConvertField(node, place, field, message, given);
    if (field->is_repeated()) {
      REIN_ASSIGN_OR_RETURN(message, Element(node, place, field, parts[++i], message));
      given->insert(place.path);
      place.path = place.Of(parts[i]);
      if (i + 1 == parts.size()) return YamlToMessage(node, place, message, given);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      message = message->GetReflection()->MutableMessage(message, field);
    } else {
      return Bad(node, place, absl::StrCat("has no fields: it is ", TypeName(*field)));
    }
  }
  return absl::OkStatus();
}

}  // namespace rein::transport
