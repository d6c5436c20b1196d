#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "transport/job_file.h"

namespace rein::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Json = nlohmann::ordered_json;

Json MessageJson(const Message& message);

// The value of a singular field (index < 0) or of one element.
Json ValueJson(const Message& message, const FieldDescriptor* field, int index) {
  const auto* reflection = message.GetReflection();
  const bool one = index < 0;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return MessageJson(one ? reflection->GetMessage(message, field)
                             : reflection->GetRepeatedMessage(message, field, index));
    case FieldDescriptor::CPPTYPE_STRING:
      return one ? reflection->GetString(message, field)
                 : reflection->GetRepeatedString(message, field, index);
    case FieldDescriptor::CPPTYPE_BOOL:
      return one ? reflection->GetBool(message, field) : reflection->GetRepeatedBool(message, field, index);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return one ? reflection->GetDouble(message, field)
                 : reflection->GetRepeatedDouble(message, field, index);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return one ? reflection->GetFloat(message, field) : reflection->GetRepeatedFloat(message, field, index);
    case FieldDescriptor::CPPTYPE_INT32:
      return one ? reflection->GetInt32(message, field) : reflection->GetRepeatedInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_INT64:
      return one ? reflection->GetInt64(message, field) : reflection->GetRepeatedInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT32:
      return one ? reflection->GetUInt32(message, field)
                 : reflection->GetRepeatedUInt32(message, field, index);
    case FieldDescriptor::CPPTYPE_UINT64:
      return one ? reflection->GetUInt64(message, field)
                 : reflection->GetRepeatedUInt64(message, field, index);
    case FieldDescriptor::CPPTYPE_ENUM:
      return (one ? reflection->GetEnum(message, field) : reflection->GetRepeatedEnum(message, field, index))
          ->name();
  }
  return nullptr;
}

Json MessageJson(const Message& message) {
  const auto* reflection = message.GetReflection();
  Json json = Json::object();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->has_presence() && !reflection->HasField(message, field)) continue;
    if (!field->is_repeated()) {
      json[field->name()] = ValueJson(message, field, -1);
      continue;
    }
    Json& list = json[field->name()] = Json::array();
    for (int k = 0; k < reflection->FieldSize(message, field); ++k)
      list.push_back(ValueJson(message, field, k));
  }
  return json;
}

}  // namespace

std::string ToJson(const Message& message, bool pretty) {
  return MessageJson(message).dump(pretty ? 2 : -1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace rein::transport
