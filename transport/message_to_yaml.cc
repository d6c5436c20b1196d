#include <string>

#include "google/protobuf/descriptor.h"
#include "transport/field_rules.h"
#include "transport/job_file.h"
#include "yaml-cpp/yaml.h"

namespace rein::transport {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void EmitMessage(const Message& message, YAML::Emitter& out);

void EmitScalar(const Message& message, const FieldDescriptor* field, YAML::Emitter& out) {
  const auto* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      out << YAML::DoubleQuoted << reflection->GetString(message, field);
      return;
    case FieldDescriptor::CPPTYPE_BOOL:
      out << reflection->GetBool(message, field);
      return;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      out << FormatNumber(reflection->GetDouble(message, field));
      return;
    case FieldDescriptor::CPPTYPE_INT32:
      out << reflection->GetInt32(message, field);
      return;
    case FieldDescriptor::CPPTYPE_INT64:
      out << reflection->GetInt64(message, field);
      return;
    default:
      out << reflection->GetUInt64(message, field);
  }
}

void EmitList(const Message& message, const FieldDescriptor* field, YAML::Emitter& out) {
  const auto* reflection = message.GetReflection();
  if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) out << YAML::Flow;
  out << YAML::BeginSeq;
  for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      EmitMessage(reflection->GetRepeatedMessage(message, field, i), out);
    } else {
      out << YAML::DoubleQuoted << reflection->GetRepeatedString(message, field, i);
    }
  }
  out << YAML::EndSeq;
}

void EmitMessage(const Message& message, YAML::Emitter& out) {
  const auto* reflection = message.GetReflection();
  out << YAML::BeginMap;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    if (field->has_presence() && !reflection->HasField(message, field)) continue;
    out << YAML::Key << field->name() << YAML::Value;
    if (field->is_repeated()) {
      EmitList(message, field, out);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      EmitMessage(reflection->GetMessage(message, field), out);
    } else {
      EmitScalar(message, field, out);
    }
  }
  out << YAML::EndMap;
}

}  // namespace

std::string ToYaml(const Message& message) {
  YAML::Emitter out;
  EmitMessage(message, out);
  return std::string(out.c_str()) + "\n";
}

}  // namespace rein::transport
