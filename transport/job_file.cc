#include "transport/job_file.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "transport/field_rules.h"
#include "transport/yaml_to_message.h"
#include "yaml-cpp/yaml.h"

namespace rein::transport {
namespace {

constexpr uint64_t kMaxFileBytes = 1 << 20;

absl::StatusOr<YAML::Node> LoadYaml(const std::string& text, const std::string& origin) {
  try {
    return YAML::Load(text);
  } catch (const YAML::Exception& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ":", error.mark.line + 1, ": not YAML: ", error.msg));
  }
}

absl::Status ApplyOverride(const std::string& override, google::protobuf::Message* message,
                           GivenFields* given) {
  const std::string origin = absl::StrCat("--set ", override);
  const size_t equals = override.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, ": expected KEY=VALUE, e.g. --set algorithm.gamma=0.99"));
  }
  REIN_ASSIGN_OR_RETURN(const YAML::Node value, LoadYaml(override.substr(equals + 1), origin));
  GivenFields set;
  REIN_RETURN_IF_ERROR(SetByPath(override.substr(0, equals), value, origin, message, &set));
  ResolvePaths(std::filesystem::current_path(), &set, message);
  given->merge(set);
  return absl::OkStatus();
}

}  // namespace

absl::Status ParseYaml(const std::string& text, const std::string& origin, const std::filesystem::path& base,
                       const std::vector<std::string>& overrides, google::protobuf::Message* message) {
  if (text.size() > kMaxFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(origin, " has ", text.size(), " bytes; at most ", kMaxFileBytes));
  }
  REIN_ASSIGN_OR_RETURN(const YAML::Node root, LoadYaml(text, origin));
  GivenFields given;
  if (!root.IsNull()) {
    try {
      REIN_RETURN_IF_ERROR(YamlToMessage(root, {origin, ""}, message, &given));
    } catch (const YAML::Exception& error) {
      return absl::InvalidArgumentError(absl::StrCat(origin, ": ", error.what()));
    }
  }
  ResolvePaths(base, nullptr, message);
  for (const std::string& override : overrides)
    REIN_RETURN_IF_ERROR(ApplyOverride(override, message, &given));
  REIN_RETURN_IF_ERROR(FillDefaults(origin, given, message));
  return CheckRules(origin, *message);
}

absl::Status ReadYaml(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                      google::protobuf::Message* message) {
  if (std::filesystem::is_directory(file)) {
    return absl::InvalidArgumentError(absl::StrCat(file.string(), " is a folder; a YAML file is expected"));
  }
  REIN_ASSIGN_OR_RETURN(const std::string text, ReadFile(file, kMaxFileBytes));
  return ParseYaml(text, file.string(), std::filesystem::absolute(file).parent_path(), overrides, message);
}

absl::StatusOr<v1::Job> ReadJob(const std::filesystem::path& file,
                                const std::vector<std::string>& overrides) {
  v1::Job job;
  REIN_RETURN_IF_ERROR(ReadYaml(file, overrides, &job));
  if (absl::Status status = CompleteJob(&job); !status.ok()) return WithContext(status, file.string());
  return job;
}

}  // namespace rein::transport
