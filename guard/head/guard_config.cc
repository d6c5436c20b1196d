#include "guard/head/guard_config.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/file.h"
#include "base/status.h"
#include "data/harm_categories.h"
#include "models/json.h"

namespace rein::guard {
namespace {

using models::Fields;
using models::Json;

constexpr int64_t kFormat = 2;
constexpr uint64_t kMaxBytes = uint64_t{1} << 20;
constexpr int64_t kMostItems = int64_t{1} << 40;

std::vector<std::string> LevelNames() {
  std::vector<std::string> names;
  for (int level = 0; level < kLevels; ++level)
    names.emplace_back(SeverityName(static_cast<Severity>(level)));
  return names;
}

std::vector<std::string> CategoryNames() {
  return {data::HarmCategories().begin(), data::HarmCategories().end()};
}

Json ToJson(const GuardConfig::Choices& choices) {
  Json list = Json::array();
  for (size_t i = 0; i < choices.size(); ++i) {
    const ThresholdChoice& choice = choices[i];
    list.push_back({{"level", SeverityName(static_cast<Severity>(i + 1))},
                    {"chosen", choice.chosen},
                    {"threshold", choice.threshold},
                    {"items_below", choice.below},
                    {"items_at_or_above", choice.at_or_above},
                    {"false_positive_rate", choice.false_positive_rate}});
  }
  return list;
}

Json ToJson(const std::array<CategoryChoice, kCategoryLogits>& choices) {
  Json list = Json::array();
  for (size_t i = 0; i < choices.size(); ++i) {
    list.push_back({{"category", data::HarmCategories()[i]},
                    {"chosen", choices[i].chosen},
                    {"threshold", choices[i].threshold},
                    {"items", choices[i].items}});
  }
  return list;
}

absl::Status CheckNames(const Fields& root, const std::string& key, const std::vector<std::string>& names) {
  const Json* value = root.Find(key);
  if (value == nullptr || !value->is_array() || value->size() != names.size())
    return root.Error(key, absl::StrCat("is not a list of ", names.size(), " names"));
  for (size_t i = 0; i < names.size(); ++i) {
    if ((*value)[i] == names[i]) continue;
    return root.Error(
        key, absl::StrCat("has ", (*value)[i].dump(), " as number ", i + 1, ", where this version of ",
                          "Rein has \"", names[i], "\": train the guard anew"));
  }
  return absl::OkStatus();
}

// Numbers from 0 to 1, as many as `values` has.
template <size_t kCount>
absl::Status ReadValues(const Fields& thresholds, const std::string& key,
                        std::array<double, kCount>& values) {
  REIN_ASSIGN_OR_RETURN(const std::vector<double> numbers, thresholds.Numbers(key, {}));
  if (numbers.size() != values.size())
    return thresholds.Error(key,
                            absl::StrCat("has ", numbers.size(), " numbers; ", values.size(), " are needed"));
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(numbers[i] >= 0 && numbers[i] <= 1))
      return thresholds.Error(key, absl::StrCat("has ", numbers[i], "; numbers from 0 to 1 are needed"));
    values[i] = numbers[i];
  }
  return absl::OkStatus();
}

absl::Status ReadChoice(const Fields& fields, ThresholdChoice& choice) {
  REIN_ASSIGN_OR_RETURN(choice.chosen, fields.Bool("chosen", false));
  REIN_ASSIGN_OR_RETURN(choice.threshold, fields.Number("threshold", 0.5, 0, 1));
  REIN_ASSIGN_OR_RETURN(choice.below, fields.Int("items_below", 0, 0, kMostItems));
  REIN_ASSIGN_OR_RETURN(choice.at_or_above, fields.Int("items_at_or_above", 0, 0, kMostItems));
  REIN_ASSIGN_OR_RETURN(choice.false_positive_rate, fields.Number("false_positive_rate", 0, 0, 1));
  return absl::OkStatus();
}

absl::Status ReadChoice(const Fields& fields, CategoryChoice& choice) {
  REIN_ASSIGN_OR_RETURN(choice.chosen, fields.Bool("chosen", false));
  REIN_ASSIGN_OR_RETURN(choice.threshold, fields.Number("threshold", 0.5, 0, 1));
  REIN_ASSIGN_OR_RETURN(choice.items, fields.Int("items", 0, 0, kMostItems));
  return absl::OkStatus();
}

template <typename Choices>
absl::Status ReadChoices(const Fields& chosen, const std::string& key, Choices& choices) {
  const Json* list = chosen.Find(key);
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array() || list->size() != choices.size())
    return chosen.Error(key, absl::StrCat("is not a list of ", choices.size()));
  for (size_t i = 0; i < choices.size(); ++i) {
    const Json& object = (*list)[i];
    const std::string where = absl::StrCat(chosen.where(), ": ", key);
    if (!object.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not an object"));
    REIN_RETURN_IF_ERROR(ReadChoice(Fields(object, where), choices[i]));
  }
  return absl::OkStatus();
}

absl::Status ReadMeasured(const Fields& measured, GuardConfig& config) {
  REIN_ASSIGN_OR_RETURN(config.measured_questions, measured.Int("questions", 0, 0, kMostItems));
  REIN_ASSIGN_OR_RETURN(config.measured_answers, measured.Int("answers", 0, 0, kMostItems));
  REIN_ASSIGN_OR_RETURN(const Fields metrics, measured.Object("metrics"));
  for (const auto& [name, value] : metrics.json().items()) {
    if (!value.is_number()) return metrics.Error(name, "is no number");
    config.metrics[name] = value.get<double>();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteGuardConfig(const GuardConfig& config, const std::filesystem::path& folder) {
  const Json json = {{"format", kFormat},
                     {"levels", LevelNames()},
                     {"categories", CategoryNames()},
                     {"thresholds",
                      {{"question", config.thresholds.question},
                       {"answer", config.thresholds.answer},
                       {"category", config.thresholds.category}}},
                     {"chosen",
                      {{"false_positive_rate", config.false_positive_rate},
                       {"held_out", config.held_out},
                       {"question", ToJson(config.question)},
                       {"answer", ToJson(config.answer)},
                       {"category", ToJson(config.category)}}},
                     {"measured",
                      {{"questions", config.measured_questions},
                       {"answers", config.measured_answers},
                       {"metrics", config.metrics}}}};
  return WriteFileAtomically(folder / kConfigFile, absl::StrCat(json.dump(2), "\n"));
}

absl::StatusOr<GuardConfig> ReadGuardConfig(const std::filesystem::path& folder) {
  REIN_ASSIGN_OR_RETURN(const Json json, models::ReadJsonObject(folder / kConfigFile, kMaxBytes));
  const Fields root(json, (folder / kConfigFile).string());
  REIN_ASSIGN_OR_RETURN(const int64_t format, root.Int("format", 0, 0, kMostItems));
  if (format != kFormat)
    return root.Error("format", absl::StrCat("is ", format, "; this version of Rein reads ", kFormat));
  REIN_RETURN_IF_ERROR(CheckNames(root, "levels", LevelNames()));
  REIN_RETURN_IF_ERROR(CheckNames(root, "categories", CategoryNames()));
  GuardConfig config;
  REIN_ASSIGN_OR_RETURN(const Fields thresholds, root.Object("thresholds"));
  REIN_RETURN_IF_ERROR(ReadValues(thresholds, "question", config.thresholds.question));
  REIN_RETURN_IF_ERROR(ReadValues(thresholds, "answer", config.thresholds.answer));
  REIN_RETURN_IF_ERROR(ReadValues(thresholds, "category", config.thresholds.category));
  REIN_ASSIGN_OR_RETURN(const Fields chosen, root.Object("chosen"));
  REIN_ASSIGN_OR_RETURN(config.false_positive_rate, chosen.Number("false_positive_rate", 0, 0, 1));
  REIN_ASSIGN_OR_RETURN(config.held_out, chosen.Bool("held_out", false));
  REIN_RETURN_IF_ERROR(ReadChoices(chosen, "question", config.question));
  REIN_RETURN_IF_ERROR(ReadChoices(chosen, "answer", config.answer));
  REIN_RETURN_IF_ERROR(ReadChoices(chosen, "category", config.category));
  REIN_ASSIGN_OR_RETURN(const Fields measured, root.Object("measured"));
  REIN_RETURN_IF_ERROR(ReadMeasured(measured, config));
  return config;
}

}  // namespace rein::guard
