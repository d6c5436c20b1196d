#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/json_elements.h"
#include "data/record_files.h"

namespace rein::data {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;  // what walks through a record calls itself at every level

// The record in `text`, or what is wrong with it.
json ParseRecord(const std::string& text, std::string& problem) {
  bool too_deep = false;
  const auto limit_depth = [&](int depth, json::parse_event_t, json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  json record = json::parse(text, limit_depth, /*allow_exceptions=*/false);
  if (text.empty()) {
    problem = absl::StrCat("record over ", JsonElements::kMaxElementBytes >> 20, " MiB");
  } else if (too_deep) {
    problem = absl::StrCat("nested more than ", kMaxDepth, " levels deep");
  } else if (record.is_discarded()) {
    problem = "not JSON";
  } else if (!record.is_object()) {
    problem = "not a JSON object";
  }
  return record;
}

class JsonSource : public RecordSource {
 public:
  explicit JsonSource(JsonElements elements) : elements_(std::move(elements)) {}

  absl::StatusOr<bool> Next(Record& record) override {
    REIN_ASSIGN_OR_RETURN(const bool found, elements_.Next(text_));
    if (!found) return false;
    record.problem.clear();
    record.fields = ParseRecord(text_, record.problem);
    if (record.problem.empty() && !elements_.key().empty()) record.fields.emplace("id", elements_.key());
    return true;
  }

 private:
  JsonElements elements_;
  std::string text_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<RecordSource>> OpenJson(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(JsonElements elements, JsonElements::Open(file));
  return std::make_unique<JsonSource>(std::move(elements));
}

absl::StatusOr<std::vector<std::string>> JsonKeys(const std::filesystem::path& file) {
  REIN_ASSIGN_OR_RETURN(const std::unique_ptr<RecordSource> source, OpenJson(file));
  std::vector<std::string> keys;
  Record record;
  while (true) {
    REIN_ASSIGN_OR_RETURN(const bool found, source->Next(record));
    if (!found) return keys;
    if (!record.problem.empty()) continue;
    for (const auto& [key, value] : record.fields.items()) keys.push_back(key);
    return keys;
  }
}

}  // namespace rein::data
