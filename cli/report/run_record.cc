#include "cli/report/run_record.h"

#include <algorithm>
#include <fstream>
#include <functional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/status.h"
#include "cli/ledger/ledger_reader.h"
#include "cli/report/fields.h"
#include "transport/job_file.h"

namespace rein::report {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t kLastSamples = 12;
constexpr uint64_t kMaxEvaluationBytes = 256 << 20;
// The casts hold whatever another program may have written.
constexpr char kEventsSql[] = R"sql(
SELECT IFNULL(CAST(step AS INTEGER), 0) AS step, CAST(kind AS TEXT) AS kind,
       IFNULL(CAST(text AS TEXT), '') AS text
FROM events WHERE kind != 'commit' ORDER BY time_ns, rowid)sql";

json Parse(const std::string& text) { return json::parse(text, nullptr, /*allow_exceptions=*/false); }

// Calls `visit` with every line that is an object with a step; notes how many are not.
void ForEachStepLine(const fs::path& file, std::vector<std::string>& notes,
                     const std::function<void(int64_t step, json line)>& visit) {
  std::ifstream stream(file);
  if (!stream) {
    notes.push_back(absl::StrCat("there is no ", file.filename().string()));
    return;
  }
  int64_t skipped = 0;
  std::string text;
  while (std::getline(stream, text)) {
    if (text.empty()) continue;
    json line = Parse(text);
    if (const std::optional<int64_t> step = IntAt(line, {"step"}))
      visit(*step, std::move(line));
    else
      ++skipped;
  }
  if (skipped > 0)
    notes.push_back(absl::StrCat(file.filename().string(), ": ", skipped,
                                 skipped == 1 ? " line was" : " lines were", " skipped as malformed"));
}

std::vector<json> Values(std::map<int64_t, json> by_step) {
  std::vector<json> values;
  for (auto& [step, value] : by_step) values.push_back(std::move(value));
  return values;
}

void ReadMetrics(RunRecord& record) {
  std::map<int64_t, json> by_step;
  ForEachStepLine(record.folder / "metrics.jsonl", record.notes,
                  [&](int64_t step, json line) { by_step[step] = std::move(line); });
  record.metrics = Values(std::move(by_step));
}

void ReadSamples(RunRecord& record) {
  int64_t last = INT64_MIN;
  ForEachStepLine(record.folder / "samples.jsonl", record.notes, [&](int64_t step, json line) {
    if (const std::string kind = TextAt(line, {"ground_truth", "kind"}); !kind.empty()) {
      ++record.sampled_kinds[step].samples;
      ++record.sampled_kinds[step].kinds[kind];
    }
    if (step > last) record.last_samples.clear();
    last = std::max(last, step);
    if (step == last && record.last_samples.size() < kLastSamples)
      record.last_samples.push_back(std::move(line));
  });
}

void ReadEvaluations(RunRecord& record) {
  std::map<int64_t, json> by_step;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(record.folder / "evaluations", error)) {
    if (entry.path().extension() != ".json") continue;
    json value = Parse(ReadFile(entry.path(), kMaxEvaluationBytes).value_or(""));
    if (const std::optional<int64_t> step = IntAt(value, {"step"}))
      by_step[*step] = std::move(value);
    else
      record.notes.push_back(
          absl::StrCat("evaluations/", entry.path().filename().string(), " was skipped as malformed"));
  }
  record.evaluations = Values(std::move(by_step));
  if (record.evaluations.empty()) record.notes.push_back("there are no evaluations");
}

void ReadJobFile(RunRecord& record) {
  v1::Job job;
  const absl::Status status = transport::ReadYaml(record.folder / "job.yaml", {}, &job);
  if (status.ok())
    record.job = job;
  else
    record.notes.push_back(absl::StrCat("job.yaml cannot be used: ", status.message()));
}

void ReadOutcome(RunRecord& record) {
  if (json outcome = Parse(ReadFile(record.folder / "outcome.json").value_or("")); outcome.is_object())
    record.outcome = std::move(outcome);
  const std::string step = ReadFile(record.folder / "policy" / "step.txt").value_or("");
  int64_t value = 0;
  if (absl::SimpleAtoi(step, &value)) record.policy_step = value;
}

absl::StatusOr<std::vector<LedgerEvent>> QueryEvents(const fs::path& ledger) {
  REIN_ASSIGN_OR_RETURN(const cli::LedgerHandle handle, cli::OpenLedger(ledger));
  REIN_ASSIGN_OR_RETURN(const std::vector<nlohmann::ordered_json> rows,
                        cli::QueryLedger(handle.get(), kEventsSql));
  std::vector<LedgerEvent> events;
  for (const auto& row : rows) events.push_back({row["step"], row["kind"], row["text"]});
  return events;
}

// Runs of other programs, and young ones, have no ledger.
void ReadLedger(RunRecord& record) {
  absl::StatusOr<std::vector<LedgerEvent>> events = QueryEvents(record.folder / "ledger.sqlite");
  if (events.ok())
    record.ledger_events = *std::move(events);
  else if (!absl::IsNotFound(events.status()))
    record.notes.push_back(absl::StrCat("events are missing: ", events.status().message()));
}

}  // namespace

absl::StatusOr<RunRecord> ReadRunRecord(const fs::path& folder) {
  std::error_code error;
  if (!fs::exists(folder / "job.yaml", error) && !fs::exists(folder / "metrics.jsonl", error)) {
    return absl::NotFoundError(absl::StrCat(
        folder.string(),
        " is no run folder: it has neither job.yaml nor metrics.jsonl; name the --run-dir of `rein run`"));
  }
  RunRecord record;
  record.folder = folder;
  ReadJobFile(record);
  ReadMetrics(record);
  ReadSamples(record);
  ReadEvaluations(record);
  ReadLedger(record);
  ReadOutcome(record);
  return record;
}

std::string RunRecord::name() const {
  if (job && !job->name().empty()) return job->name();
  return fs::absolute(folder).lexically_normal().filename().string();
}

bool RunRecord::synthetic() const {
  const auto has_truth = [](const json& evaluation) {
    return !ObjectAt(evaluation, {"ground_truth"}).empty();
  };
  return !sampled_kinds.empty() || std::any_of(evaluations.begin(), evaluations.end(), has_truth);
}

std::vector<std::string> RunRecord::constraint_names() const {
  std::vector<std::string> names;
  const auto add = [&](const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  };
  if (job) {
    for (const v1::Constraint& constraint : job->constraints()) add(constraint.name());
  }
  for (const json& line : metrics) {
    for (const auto& [name, value] : ObjectAt(line, {"constraints"}).items()) add(name);
  }
  return names;
}

const json* RunRecord::start_evaluation() const {
  for (const json& evaluation : evaluations) {
    if (IntAt(evaluation, {"step"}) == 0) return &evaluation;
  }
  return nullptr;
}

const json* RunRecord::final_evaluation() const {
  const json* last = nullptr;
  for (const json& evaluation : evaluations) {
    const std::optional<int64_t> step = IntAt(evaluation, {"step"});
    if (step == 0) continue;
    last = &evaluation;
    if (policy_step && step == policy_step) break;
  }
  return last;
}

}  // namespace rein::report
