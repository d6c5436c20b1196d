#include "guard/record_json.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::guard {
namespace {

using nlohmann::json;

// Null where the key is missing or `object` is none.
const json& At(const json& object, const char* key) {
  static const auto& null = *new json();
  const auto found = object.find(key);
  return found == object.end() ? null : *found;
}

absl::Status Wrong(const char* key, const char* needed) {
  return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" is not ", needed));
}

absl::StatusOr<std::string> Text(const json& object, const char* key) {
  const json& value = At(object, key);
  if (!value.is_string()) return Wrong(key, "a text");
  return value.get<std::string>();
}

absl::StatusOr<Record::Round> RoundFromJson(const json& object) {
  Record::Round round;
  REIN_ASSIGN_OR_RETURN(round.prompt, Text(object, "prompt"));
  REIN_ASSIGN_OR_RETURN(round.answer, Text(object, "answer"));
  if (!At(object, "seed").is_number_unsigned()) return Wrong("seed", "a whole number");
  round.seed = object["seed"].get<uint64_t>();
  REIN_ASSIGN_OR_RETURN(round.verdict, VerdictFromJson(At(object, "verdict")));
  return round;
}

}  // namespace

json ToJson(const Verdict& verdict) {
  json object = {{"severity", SeverityName(verdict.severity)},
                 {"at_or_above", verdict.at_or_above},
                 {"categories", verdict.categories}};
  if (!verdict.not_moderated.empty()) object["not_moderated"] = verdict.not_moderated;
  return object;
}

json ToJson(const Record& record) {
  json rounds = json::array();
  for (const Record::Round& round : record.rounds) {
    rounds.push_back({{"prompt", round.prompt},
                      {"seed", round.seed},
                      {"answer", round.answer},
                      {"verdict", ToJson(round.verdict)}});
  }
  return {{"id", record.id},
          {"question_verdict", ToJson(record.question)},
          {"rounds", std::move(rounds)},
          {"end", EndName(record.end)},
          {"answer", record.answer}};
}

absl::StatusOr<Verdict> VerdictFromJson(const json& object) {
  Verdict verdict;
  REIN_ASSIGN_OR_RETURN(const std::string name, Text(object, "severity"));
  const std::optional<Severity> severity = ParseSeverity(name);
  if (!severity) return Wrong("severity", "safe, minor, moderate or severe");
  verdict.severity = *severity;
  const json &values = At(object, "at_or_above"), &categories = At(object, "categories");
  if (!values.is_array() || values.size() != verdict.at_or_above.size())
    return Wrong("at_or_above", "a list of 3 numbers");
  for (size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_number()) return Wrong("at_or_above", "a list of 3 numbers");
    verdict.at_or_above[i] = values[i].get<double>();
  }
  if (!categories.is_array()) return Wrong("categories", "a list of texts");
  for (const json& category : categories) {
    if (!category.is_string()) return Wrong("categories", "a list of texts");
    verdict.categories.push_back(category.get<std::string>());
  }
  if (object.contains("not_moderated")) {
    REIN_ASSIGN_OR_RETURN(verdict.not_moderated, Text(object, "not_moderated"));
  }
  return verdict;
}

absl::StatusOr<Record> RecordFromJson(const json& object) {
  Record record;
  REIN_ASSIGN_OR_RETURN(record.id, Text(object, "id"));
  REIN_ASSIGN_OR_RETURN(record.question, VerdictFromJson(At(object, "question_verdict")));
  if (!At(object, "rounds").is_array()) return Wrong("rounds", "a list");
  for (const json& round : object["rounds"]) {
    REIN_ASSIGN_OR_RETURN(record.rounds.emplace_back(), RoundFromJson(round));
  }
  REIN_ASSIGN_OR_RETURN(const std::string end, Text(object, "end"));
  const std::optional<Record::End> parsed = ParseEnd(end);
  if (!parsed) return Wrong("end", "answered, refused or fallback");
  record.end = *parsed;
  REIN_ASSIGN_OR_RETURN(record.answer, Text(object, "answer"));
  return record;
}

}  // namespace rein::guard
