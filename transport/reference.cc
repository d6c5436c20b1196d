#include "transport/reference.h"

#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "rein/v1/options.pb.h"
#include "transport/field_rules.h"

namespace rein::transport {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Comment above a message or field, on one line, safe in a table.
template <typename Element>
std::string Comment(const Element& element) {
  google::protobuf::SourceLocation location;
  if (!element.GetSourceLocation(&location)) return "";
  std::vector<std::string> lines = absl::StrSplit(location.leading_comments, '\n', absl::SkipWhitespace());
  for (std::string& line : lines) line = std::string(absl::StripAsciiWhitespace(line));
  return absl::StrReplaceAll(absl::StrJoin(lines, " "), {{"|", "\\|"}});
}

std::string TypeOf(const FieldDescriptor& field) {
  std::string type = field.type_name();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    type = absl::StrCat("[", field.message_type()->name(), "](#",
                        absl::AsciiStrToLower(field.message_type()->name()), ")");
  }
  return field.is_repeated() ? absl::StrCat("list of ", type) : type;
}

std::string DefaultOf(const FieldDescriptor& field, const v1::FieldRule& rule) {
  if (rule.required()) return "required";
  if (!rule.default_().empty()) return absl::StrCat("`", rule.default_(), "`");
  if (field.is_repeated()) return "empty";
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) return "see there";
  return field.cpp_type() == FieldDescriptor::CPPTYPE_STRING ? "empty" : "`0`";
}

std::string Row(const FieldDescriptor& field) {
  const v1::FieldRule& rule = field.options().GetExtension(v1::rule);
  std::string allowed = Allowed(rule);
  if (rule.path()) allowed = "path, from the job file's folder";
  if (allowed.empty()) allowed = rule.unit();
  return absl::StrCat("| `", field.name(), "` | ", TypeOf(field), " | ", DefaultOf(field, rule), " | ",
                      allowed, " | ", Comment(field), " |\n");
}

void AppendMessage(const Descriptor& type, std::set<std::string>* done, std::string* page) {
  if (!done->insert(type.full_name()).second) return;
  absl::StrAppend(page, "\n## ", type.name(), "\n");
  if (const std::string comment = Comment(type); !comment.empty()) absl::StrAppend(page, "\n", comment, "\n");
  absl::StrAppend(page, "\n| field | type | default | allowed | meaning |\n|---|---|---|---|---|\n");
  for (int i = 0; i < type.field_count(); ++i) absl::StrAppend(page, Row(*type.field(i)));
  for (int i = 0; i < type.field_count(); ++i) {
    if (const Descriptor* inner = type.field(i)->message_type(); inner != nullptr)
      AppendMessage(*inner, done, page);
  }
}

}  // namespace

absl::StatusOr<std::string> MessageReference(const std::string& descriptors, const std::string& type) {
  google::protobuf::FileDescriptorSet files;
  if (!files.ParseFromString(descriptors)) return absl::InvalidArgumentError("not a FileDescriptorSet");
  google::protobuf::DescriptorPool pool;
  for (const auto& file : files.file()) {
    if (pool.BuildFile(file) == nullptr)
      return absl::InvalidArgumentError(absl::StrCat("cannot build ", file.name()));
  }
  const Descriptor* message = pool.FindMessageTypeByName(type);
  if (message == nullptr) return absl::NotFoundError(absl::StrCat("no message ", type));
  std::set<std::string> done;
  std::string page;
  AppendMessage(*message, &done, &page);
  return page;
}

absl::StatusOr<std::string> JobFilePage(const std::string& descriptors) {
  std::string page =
      "# Job files\n\nGenerated from `proto/rein/v1/*.proto` by `rein-reference`; a test keeps it "
      "current.\n\n"
      "`rein run` reads a [Job](#job), `rein train sft` an [SftJob](#sftjob), `rein train reward` and `rein "
      "train cost` a\n"
      "[PreferenceJob](#preferencejob), `rein train guard` a [GuardJob](#guardjob), `rein train dpo` a "
      "[DpoJob](#dpojob), each\n"
      "as YAML with the field names below. Unknown keys are errors. `--set a.b=c` overrides a field, `--set "
      "actors.0.threads=2` one\n"
      "of a list element. Paths are relative to the file's folder.\n";
  for (const char* type :
       {"rein.v1.Job", "rein.v1.SftJob", "rein.v1.PreferenceJob", "rein.v1.GuardJob", "rein.v1.DpoJob"}) {
    REIN_ASSIGN_OR_RETURN(const std::string part, MessageReference(descriptors, type));
    page += part;
  }
  return page;
}

}  // namespace rein::transport
