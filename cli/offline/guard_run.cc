#include "cli/offline/guard_run.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/offline/count_rows.h"
#include "cli/offline/policy_generator.h"
#include "data/row_reader.h"

namespace rein::cli {
namespace {

using nlohmann::json;

absl::StatusOr<json> SettingsOf(const GuardRunOptions& options, const guard::GuardModel& guard) {
  const guard::GuardrailOptions& rails = options.rails;
  json settings = {{"guard", guard.digest()},
                   {"data", std::filesystem::absolute(options.data).lexically_normal().string()},
                   {"refuse_at", rails.refuse_at ? guard::SeverityName(*rails.refuse_at) : "never"},
                   {"regenerate_at", guard::SeverityName(rails.regenerate_at)},
                   {"rounds", rails.rounds},
                   {"give_reason", rails.give_reason},
                   {"refusal", rails.refusal},
                   {"fallback", rails.fallback},
                   {"seed", rails.seed},
                   {"temperature", options.params.temperature},
                   {"top_p", options.params.top_p},
                   {"top_k", options.params.top_k},
                   {"max_tokens", options.params.max_response_tokens}};
  REIN_ASSIGN_OR_RETURN(settings["policy"], models::ModelDigest(options.policy));
  return settings;
}

data::ReadOptions ReadingOf(const GuardRunOptions& options) {
  data::ReadOptions reading = options.reading;
  reading.picture_check = data::PictureCheck::kNone;
  return reading;
}

// Questions that wait for their chunk to be full.
class Chunks {
 public:
  Chunks(const GuardRunOptions& options, guard::GuardModel& guard, const ModelFolder& policy,
         GuardRecords& records, int64_t all, GuardProgressFn progress)
      : options_(options),
        guard_(guard),
        generator_(policy, options.params),
        records_(records),
        all_(std::max(all, records.size())),
        progress_(progress) {
    progress_(records_.size(), all_);
  }

  absl::Status Add(std::string id, data::Row row) {
    sources_.push_back({.text = row.question,
                        .picture_name = row.pictures.empty() ? "" : row.pictures[0].path,
                        .category = std::move(row.category),
                        .severity = std::move(row.severity)});
    questions_.push_back({std::move(id), std::move(row.question), std::move(row.pictures)});
    return static_cast<int64_t>(questions_.size()) < options_.chunk ? absl::OkStatus() : Finish();
  }

  absl::Status Finish() {
    if (questions_.empty()) return absl::OkStatus();
    REIN_ASSIGN_OR_RETURN(
        const std::vector<guard::Record> done,
        guard::RunGuardrail(options_.rails, questions_, generator_, guard_, [](int, int64_t) {}));
    REIN_RETURN_IF_ERROR(records_.Append(done, sources_));
    questions_.clear();
    sources_.clear();
    progress_(records_.size(), all_);
    return absl::OkStatus();
  }

 private:
  const GuardRunOptions& options_;
  guard::GuardModel& guard_;
  PolicyGenerator generator_;
  GuardRecords& records_;
  const int64_t all_;  // questions
  GuardProgressFn progress_;
  std::vector<guard::Question> questions_;
  std::vector<QuestionSource> sources_;
};

// Every question that has no record yet, in chunks. Returns what reading has counted.
absl::StatusOr<json> AskAll(const GuardRunOptions& options, const GuardRecords& records, Chunks& chunks) {
  REIN_ASSIGN_OR_RETURN(data::RowReader reader, data::RowReader::Open(options.data, ReadingOf(options)));
  for (int64_t number = 1; options.questions == 0 || number <= options.questions; ++number) {
    REIN_ASSIGN_OR_RETURN(std::optional<data::Row> row, reader.Next());
    if (!row) break;
    std::string id = absl::StrCat(number);
    REIN_ASSIGN_OR_RETURN(const bool is_done, records.Has(id, row->question));
    if (!is_done) REIN_RETURN_IF_ERROR(chunks.Add(std::move(id), *std::move(row)));
  }
  REIN_RETURN_IF_ERROR(chunks.Finish());
  return json{{"rows", reader.report().rows}, {"dropped", reader.report().dropped}};
}

}  // namespace

absl::StatusOr<GuardSummary> RunGuardOver(const GuardRunOptions& options, guard::GuardModel& guard,
                                          const ModelFolder& policy, GuardProgressFn progress) {
  REIN_ASSIGN_OR_RETURN(const int64_t all, CountRows(options.data, ReadingOf(options), options.questions));
  REIN_ASSIGN_OR_RETURN(const json settings, SettingsOf(options, guard));
  REIN_ASSIGN_OR_RETURN(GuardRecords records, GuardRecords::Open(options.output, settings, options.resume));
  Chunks chunks(options, guard, policy, records, all, progress);
  REIN_ASSIGN_OR_RETURN(const json data, AskAll(options, records, chunks));
  REIN_ASSIGN_OR_RETURN(GuardSummary summary, GuardSummary::Read(records.file(), options.rails.rounds));
  json written = summary.ToJson();
  written["settings"] = settings;
  written["data"] = data;
  REIN_RETURN_IF_ERROR(
      WriteFileAtomically(options.output / "guardrail.json", absl::StrCat(written.dump(2), "\n")));
  REIN_RETURN_IF_ERROR(WriteFileAtomically(options.output / "guardrail.md",
                                           absl::StrCat("# Guardrail\n\n", summary.ToMarkdown())));
  return summary;
}

}  // namespace rein::cli
