#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/heap.h"
#include "base/status.h"
#include "data/harm_categories.h"
#include "data/preferences.h"
#include "data/row_reader.h"

namespace rein::data {
namespace {

absl::Status Lacks(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("no ", what));
}

// Whether anything is known of the harm in question or answers.
bool IsModerated(const Row& row) {
  const auto levels = HarmLevels();
  return std::find(levels.begin(), levels.end(), row.severity) != levels.end() ||
         std::any_of(row.responses.begin(), row.responses.end(),
                     [](const Response& response) { return response.is_safe.has_value(); });
}

Harmlessness HarmlessnessOf(const Response& response) {
  if (!response.is_safe) return Harmlessness::kUnknown;
  return response.harmless_rate ? Harmlessness::kRated : Harmlessness::kLabelled;
}

absl::Status CheckNeed(const Row& row, Need need) {
  if (need == Need::kQuestion) return absl::OkStatus();
  if (need == Need::kModeration)
    return IsModerated(row) ? absl::OkStatus() : Lacks("severity of the question and no label of a response");
  if (row.responses.empty()) return Lacks("response");
  if (need == Need::kAnswer) return absl::OkStatus();
  if (row.responses.size() < 2) return Lacks("second response");
  if (!row.more_helpful) return Lacks("more_helpful_response_id");
  if (need == Need::kHelpfulPair) return absl::OkStatus();
  if (!row.safer) return Lacks("safer_response_id");
  if (!row.responses[0].is_safe || !row.responses[1].is_safe) return Lacks("label of a response's safety");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreferenceRow> ToPreference(Row row, Need need) {
  REIN_RETURN_IF_ERROR(CheckNeed(row, need));
  PreferenceRow preference;
  preference.question = std::move(row.question);
  preference.pictures = std::move(row.pictures);
  for (Harmlessness& harmlessness : preference.harmlessness) harmlessness = Harmlessness::kUnknown;
  for (size_t i = 0; i < row.responses.size() && i < 2; ++i) {
    Response& response = row.responses[i];
    preference.response[i] = std::move(response.text);
    preference.is_safe[i] = response.is_safe.value_or(true);
    preference.harmlessness[i] = HarmlessnessOf(response);
    if (response.is_safe)
      preference.harmless_rate[i] = response.harmless_rate.value_or(*response.is_safe ? 1 : -1);
    preference.helpful_rate[i] = response.helpful_rate;
  }
  preference.more_helpful = row.more_helpful.value_or(0);
  preference.safer = row.safer.value_or(0);
  preference.category = std::move(row.category);
  preference.severity = std::move(row.severity);
  return preference;
}

Row FromPreference(PreferenceRow preference) {
  Row row;
  row.question = std::move(preference.question);
  row.pictures = std::move(preference.pictures);
  for (int i = 0; i < 2; ++i) {
    Response& response = row.responses.emplace_back();
    response.text = std::move(preference.response[i]);
    if (preference.harmlessness[i] != Harmlessness::kUnknown) response.is_safe = preference.is_safe[i];
    if (preference.harmlessness[i] == Harmlessness::kRated)
      response.harmless_rate = preference.harmless_rate[i];
    response.helpful_rate = preference.helpful_rate[i];
  }
  row.more_helpful = preference.more_helpful;
  row.safer = preference.safer;
  row.category = std::move(preference.category);
  row.severity = std::move(preference.severity);
  return row;
}

absl::StatusOr<ReadReport> ReadPreferences(const std::filesystem::path& path, const ColumnNames& columns,
                                           absl::FunctionRef<absl::Status(PreferenceRow)> visit, Need need) {
  ReadOptions options;
  options.columns = columns;
  options.picture_check = PictureCheck::kNone;
  // Callers keep the texts of the rows and let go of their pictures.
  const LargeBlocksApart apart;
  REIN_ASSIGN_OR_RETURN(RowReader reader, RowReader::Open(path, options));
  std::map<std::string, int64_t> lacking;
  int64_t kept = 0;
  while (true) {
    REIN_ASSIGN_OR_RETURN(std::optional<Row> row, reader.Next());
    if (!row) break;
    absl::StatusOr<PreferenceRow> preference = ToPreference(*std::move(row), need);
    if (preference.ok()) {
      ++kept;
      REIN_RETURN_IF_ERROR(visit(*std::move(preference)));
    } else {
      ++lacking[std::string(preference.status().message())];
    }
  }
  ReadReport report = reader.report();
  report.kept = kept;
  for (const auto& [reason, count] : lacking) report.dropped[reason] += count;
  return report;
}

absl::StatusOr<std::vector<PreferenceRow>> LoadPreferences(const std::filesystem::path& path,
                                                           const ColumnNames& columns, Need need) {
  std::vector<PreferenceRow> rows;
  const auto keep = [&rows](PreferenceRow row) {
    rows.push_back(std::move(row));
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(ReadPreferences(path, columns, keep, need).status());
  return rows;
}

}  // namespace rein::data
