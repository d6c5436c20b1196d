#include "cli/run/resume_rules.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "nlohmann/json.hpp"
#include "transport/job_file.h"

namespace rein::cli {
namespace {

using Json = nlohmann::json;

constexpr const char* kMayChange[] = {"steps", "limits", "evaluation", "checkpoint"};
constexpr size_t kShown = 3;

std::string ValueAt(const Json& job, const Json::json_pointer& path) {
  return job.contains(path) ? job.at(path).dump() : "none";
}

bool MayChange(const std::string& field) {
  const std::string top = field.substr(0, field.find_first_of(".:"));
  return std::find(std::begin(kMayChange), std::end(kMayChange), top) != std::end(kMayChange);
}

}  // namespace

std::vector<std::string> ChangedFields(const v1::Job& before, const v1::Job& after) {
  const Json from = Json::parse(transport::ToJson(before)), to = Json::parse(transport::ToJson(after));
  std::vector<std::string> changed;
  for (const Json& change : Json::diff(from, to)) {
    const std::string path = change["path"];
    const Json::json_pointer pointer(path);
    const std::string old_value = change["op"] == "add" ? "none" : ValueAt(from, pointer);
    const std::string new_value = change["op"] == "remove" ? "none" : change["value"].dump();
    changed.push_back(
        absl::StrCat(absl::StrReplaceAll(path.substr(1), {{"/", "."}}), ": ", old_value, " -> ", new_value));
  }
  return changed;
}

absl::StatusOr<v1::Job> ResumedJob(const v1::Job& stored, const v1::Job& asked) {
  std::vector<std::string> refused = ChangedFields(stored, asked);
  refused.erase(std::remove_if(refused.begin(), refused.end(), MayChange), refused.end());
  if (refused.empty()) return asked;
  const size_t more = refused.size() - std::min(refused.size(), kShown);
  refused.resize(refused.size() - more);
  return absl::InvalidArgumentError(
      absl::StrCat("the job differs from the one that the run began with: ", absl::StrJoin(refused, "; "),
                   more > 0 ? absl::StrCat(" and ", more, " more") : "",
                   ". A run goes on with other steps, limits, evaluation or checkpoint only; for other "
                   "changes start a new "
                   "run in another folder"));
}

}  // namespace rein::cli
