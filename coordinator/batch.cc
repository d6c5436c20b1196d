#include "coordinator/batch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log_line.h"
#include "base/status.h"

namespace rein::coordinator {
namespace {

std::vector<std::string> SampleIds(const std::vector<v1::PromptSpec>& prompts) {
  std::vector<std::string> ids;
  for (const v1::PromptSpec& prompt : prompts) {
    for (const int32_t sample : prompt.samples())
      ids.push_back(SampleId(prompt.prompt().prompt_id(), sample));
  }
  return ids;
}

// Which samples of a prompt have neither come nor been dropped.
class Progress {
 public:
  explicit Progress(const StepTable* table) : table_(table) {
    for (size_t row = 0; row < table->size(); ++row) row_of_[table->id(row)] = row;
  }
  std::vector<int32_t> Missing(const v1::PromptSpec& prompt) const {
    std::vector<int32_t> missing;
    for (const int32_t sample : prompt.samples()) {
      const size_t row = row_of_.at(SampleId(prompt.prompt().prompt_id(), sample));
      if (!table_->settled(row)) missing.push_back(sample);
    }
    return missing;
  }

 private:
  const StepTable* table_;
  std::map<std::string, size_t> row_of_;
};

GenerationEvents MakeEvents(const BatchRequest& request, StepTable& table, Scoring& scoring,
                            const Progress& progress) {
  GenerationEvents events;
  events.sample = [&request, &table, &scoring](v1::Sample sample) {
    const bool overlong = sample.finish_reason() == v1::FINISH_REASON_LENGTH;
    const std::optional<size_t> row = table.AddSample(std::move(sample));
    if (!row.has_value()) return;
    if (overlong && request.drop_overlong)
      table.Drop(*row, "cut at the length limit (rollout.overlong: drop)");
    scoring.Arrived(*row);
  };
  events.refusal = [&table, &scoring](const v1::PromptRefusal& refusal) {
    LogWarning(absl::StrCat("prompt ", refusal.prompt_id(), " is refused: ", refusal.message()));
    for (const size_t row :
         table.DropPrompt(refusal.prompt_id(), absl::StrCat("refused: ", refusal.message()))) {
      scoring.Arrived(row);
    }
  };
  events.missing = [&progress](const v1::PromptSpec& prompt) { return progress.Missing(prompt); };
  return events;
}

}  // namespace

absl::StatusOr<Batch> RunBatch(const BatchTools& tools, const BatchRequest& request,
                               const std::function<void(const StepTable&)>& generated) {
  StepTable table(SampleIds(request.prompts), request.columns.size());
  const Progress progress(&table);
  Scoring scoring(tools.job, tools.fleet, tools.board, &table, request.columns, request.step, tools.pictures);
  Generation generation(tools.job, tools.fleet, tools.board, tools.weights);
  const absl::Time started = absl::Now();
  const absl::Status status =
      generation.Run({.prompts = request.prompts, .sampling = request.sampling, .step = request.step},
                     MakeEvents(request, table, scoring, progress));
  if (!status.ok()) {
    // Workers that wait for an actor end as well.
    if (tools.fleet->Interruption().ok()) tools.fleet->Fail(status);
    return status;
  }
  const absl::Time generated_at = absl::Now();
  generated(table);
  REIN_RETURN_IF_ERROR(scoring.Finish());
  Batch batch;
  batch.generate_seconds = absl::ToDoubleSeconds(generated_at - started);
  batch.score_seconds = absl::ToDoubleSeconds(absl::Now() - generated_at);
  batch.table = CloseTable(request.columns, table.Take());
  for (const ScoredRow& row : batch.table.rows) batch.response_tokens += row.sample.response_tokens_size();
  return batch;
}

}  // namespace rein::coordinator
