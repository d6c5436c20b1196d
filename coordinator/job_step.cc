// One training step (docs/concepts.md, one step).
#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "coordinator/evaluation.h"
#include "coordinator/job.h"
#include "coordinator/offloading.h"

namespace rein::coordinator {
namespace {

double SecondsSince(absl::Time start) { return absl::ToDoubleSeconds(absl::Now() - start); }

const char* FinishName(v1::FinishReason reason) {
  return reason == v1::FINISH_REASON_LENGTH ? "length" : "stop";
}

nlohmann::json ToJson(const std::map<std::string, double>& metrics) { return metrics; }

std::string DigestsOf(const v1::Prompt& prompt) {
  const auto append = [](std::string* text, const v1::ImageRef& image) { text->append(image.digest()); };
  return absl::StrJoin(prompt.images(), ",", append);
}

// How often a step draws prompts of which the guard leaves nothing.
constexpr int kMostDraws = 16;

bool OnlyVerdicts(const std::vector<DroppedSample>& dropped) {
  return std::all_of(dropped.begin(), dropped.end(),
                     [](const DroppedSample& sample) { return IsVerdictOfGuard(sample.reason); });
}

void Append(Batch drawn, Batch& batch) {
  std::move(drawn.table.dropped.begin(), drawn.table.dropped.end(), std::back_inserter(batch.table.dropped));
  batch.table.rows = std::move(drawn.table.rows);
  batch.generate_seconds += drawn.generate_seconds;
  batch.score_seconds += drawn.score_seconds;
  batch.response_tokens += drawn.response_tokens;
}

}  // namespace

BatchRequest Job::DrawPrompts(int64_t step) {
  BatchRequest request;
  for (int i = 0; i < job_.data().prompts_per_step(); ++i) {
    v1::PromptSpec& prompt = request.prompts.emplace_back();
    *prompt.mutable_prompt() = prompts_->Draw(cursor_ + static_cast<uint64_t>(i));
    for (int sample = 0; sample < job_.data().samples_per_prompt(); ++sample) prompt.add_samples(sample);
  }
  request.sampling.set_temperature(job_.rollout().temperature());
  request.sampling.set_top_p(1);
  request.sampling.set_max_response_tokens(job_.rollout().max_response_tokens());
  request.sampling.set_seed(job_.seed());
  request.step = step;
  request.columns = TrainingColumns(job_);
  request.drop_overlong = job_.rollout().overlong() == "drop";
  return request;
}

absl::Status Job::PlanStep(const LedgerKey& key, const BatchRequest& request) {
  std::vector<PlannedSample> planned;
  for (const v1::PromptSpec& spec : request.prompts) {
    const v1::Prompt& prompt = spec.prompt();
    for (const int32_t sample : spec.samples()) {
      planned.push_back({.sample_id = SampleId(prompt.prompt_id(), sample),
                         .prompt_id = prompt.prompt_id(),
                         .category = prompt.category(),
                         .image_digest = DigestsOf(prompt),
                         .question = prompt.question(),
                         .seed = job_.seed()});
    }
  }
  return ledger_->Plan(key, planned);
}

absl::StatusOr<Batch> Job::FillBatch(const LedgerKey& key) {
  Batch batch;
  int draws = 0;
  while (true) {
    board_.SetPhase(v1::JOB_GENERATING);
    MakeRoom(transport::Stage::kSampling);
    const BatchRequest request = DrawPrompts(key.step);
    REIN_RETURN_IF_ERROR(PlanStep(key, request));
    REIN_ASSIGN_OR_RETURN(Batch drawn, RunBatch(*tools_, request, [this](const StepTable&) {
                            board_.SetPhase(v1::JOB_SCORING);
                          }));
    cursor_ += request.prompts.size();
    const bool only_verdicts = OnlyVerdicts(drawn.table.dropped);
    Append(std::move(drawn), batch);
    if (!batch.table.rows.empty()) return batch;
    if (++draws == kMostDraws || !only_verdicts) break;
    RecordEvent("filtered", absl::StrCat("the guard dropped every sample of ", request.prompts.size(),
                                         " prompts of step ", key.step, "; the next ones are drawn"));
  }
  REIN_RETURN_IF_ERROR(ledger_->Close(key, {}, batch.table.dropped));
  return absl::InvalidArgumentError(
      absl::StrCat("no sample of step ", key.step, " could be used",
                   draws < kMostDraws ? "" : absl::StrCat(", though prompts were drawn ", draws, " times"),
                   "; the last reason: ", batch.table.dropped.back().reason));
}

absl::Status Job::RunStep(int64_t step) {
  const absl::Time started = absl::Now();
  const LedgerKey key{epoch_, step};
  REIN_ASSIGN_OR_RETURN(Batch batch, FillBatch(key));
  for (ScoredRow& row : batch.table.rows) {
    row.category = prompts_->Row(*prompts_->RowOf(row.sample.prompt_id())).category();
  }
  nlohmann::json seconds = {{"generate", batch.generate_seconds}, {"score", batch.score_seconds}};
  const absl::Time scored = absl::Now();
  std::vector<v1::Sample> canary;
  for (const ScoredRow& row : batch.table.rows) canary.push_back(row.sample);
  swapper_->SetCanary(std::move(canary));
  REIN_ASSIGN_OR_RETURN(const Experience experience, MakeExperience(job_, batch.table.rows, *constraints_));
  REIN_RETURN_IF_ERROR(CloseStep(key, batch.table, experience));
  seconds["experience"] = SecondsSince(scored);

  board_.SetPhase(v1::JOB_TRAINING);
  const absl::Time train = absl::Now();
  MakeRoom(transport::Stage::kTraining);
  const v1::WeightVersion version = VersionAt(step);
  REIN_ASSIGN_OR_RETURN(const TrainOutcome outcome, training_->Train(batch.table.rows, experience, version));
  seconds["train"] = SecondsSince(train);
  REIN_RETURN_IF_ERROR(CheckGap(outcome));

  board_.SetPhase(v1::JOB_PUBLISHING);
  const absl::Time publish = absl::Now();
  MakeRoom(transport::Stage::kPublishing);
  REIN_RETURN_IF_ERROR(weights_->Publish(version));
  seconds["publish"] = SecondsSince(publish);
  REIN_RETURN_IF_ERROR(ledger_->Consume(key));
  step_ = step;
  seconds["total"] = SecondsSince(started);
  for (const auto& [phase, spent] : std::exchange(between_steps_, {})) seconds[phase] = spent;
  return Report(batch, experience, outcome, std::move(seconds));
}

void Job::MakeRoom(transport::Stage stage) { coordinator::MakeRoom(job_, *fleet_, board_, stage); }

absl::Status Job::CloseStep(const LedgerKey& key, const ClosedTable& table, const Experience& experience) {
  std::vector<ScoredSample> scored;
  for (size_t i = 0; i < table.rows.size(); ++i) {
    const ScoredRow& row = table.rows[i];
    ScoredSample& sample = scored.emplace_back();
    sample.sample_id = row.sample.sample_id();
    sample.answer = row.sample.answer();
    sample.first_version = row.sample.first_version();
    sample.last_version = row.sample.last_version();
    sample.response_tokens = row.sample.response_tokens_size();
    sample.finish_reason = FinishName(row.sample.finish_reason());
    sample.reward = row.reward;
    sample.reward_digest = row.reward_digest;
    for (size_t c = 0; c < row.costs.size(); ++c) {
      sample.costs.push_back({.name = constraints_->name(c),
                              .cost = row.costs[c],
                              .signal = experience.signals[c][i],
                              .digest = row.cost_digests[c],
                              .lambda = experience.lambdas[c]});
    }
    if (job_.record() == "tokens") {
      sample.token_columns = TokenColumns(table.rows, experience, *constraints_, i).dump();
    }
  }
  return ledger_->Close(key, scored, table.dropped);
}

absl::Status Job::CheckGap(const TrainOutcome& outcome) {
  const auto gap = outcome.policy.find("logprob_gap_mean");
  if (gap == outcome.policy.end() || gap->second <= job_.weight_sync().max_logprob_gap()) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("rollout and training disagree: the mean log-probability gap is ", gap->second,
                   " nats, allowed are ", job_.weight_sync().max_logprob_gap(),
                   " (weight_sync.max_logprob_gap); the rollouts do not run the policy's weights"));
}

absl::Status Job::Report(const Batch& batch, const Experience& experience, const TrainOutcome& outcome,
                         nlohmann::json seconds) {
  nlohmann::json line = BatchMetrics(job_, batch.table.rows, experience, *constraints_);
  line["step"] = step_;
  line["coordinator_epoch"] = epoch_;
  line["dropped"] = batch.table.dropped.size();
  line["weight_version"] = step_;
  line["actor_restarts"] = fleet_->restarts();
  line["tokens_per_second"] =
      static_cast<double>(batch.response_tokens) / std::max(batch.generate_seconds, 1e-9);
  const auto metric = [&](const char* name) {
    const auto found = outcome.policy.find(name);
    return found == outcome.policy.end() ? 0.0 : found->second;
  };
  line["logprob_gap"] = metric("logprob_gap_mean");
  line["logprob_gap_max"] = metric("logprob_gap_max");
  line["policy"] = ToJson(outcome.policy);
  line["critics"] = nlohmann::json::object();
  for (const auto& [name, metrics] : outcome.critics) line["critics"][name] = ToJson(metrics);
  line["seconds"] = std::move(seconds);

  const auto samples = static_cast<int64_t>(batch.table.rows.size());
  since_.samples += samples;
  since_.signals.resize(constraints_->size());
  for (const ScoredRow& row : batch.table.rows) since_.reward += row.reward;
  for (size_t c = 0; c < constraints_->size(); ++c) {
    since_.signals[c] =
        std::accumulate(experience.signals[c].begin(), experience.signals[c].end(), since_.signals[c]);
  }
  std::vector<nlohmann::json> logged;
  for (size_t i = 0; i < batch.table.rows.size(); ++i) {
    const ScoredRow& row = batch.table.rows[i];
    nlohmann::json& sample = logged.emplace_back(DescribeSample(job_, row, *prompts_));
    sample["step"] = step_;
    sample["sample_id"] = row.sample.sample_id();
    sample["finish"] = FinishName(row.sample.finish_reason());
    sample["tokens"] = row.sample.response_tokens_size();
    sample["kl"] = experience.kl[i];
  }
  REIN_RETURN_IF_ERROR(files_->AppendSamples(logged));
  REIN_RETURN_IF_ERROR(KeepPictures(batch.table.rows));
  REIN_RETURN_IF_ERROR(files_->AppendMetrics(line));
  ShowMultipliers(line);
  return absl::OkStatus();
}

absl::Status Job::KeepPictures(const std::vector<ScoredRow>& rows) {
  for (const ScoredRow& row : rows) {
    for (const v1::ImageRef& image : row.sample.images()) {
      REIN_RETURN_IF_ERROR(KeepPicture(image.digest()));
    }
  }
  return absl::OkStatus();
}

absl::Status Job::KeepPicture(const std::string& digest) {
  REIN_ASSIGN_OR_RETURN(const transport::Blob blob, Picture(digest));
  return files_->KeepPicture(digest, *blob);
}

void Job::ShowMultipliers(const nlohmann::json& metrics) {
  const int restarts = fleet_->restarts();
  board_.Update([&](v1::JobStatus& shown) {
    shown.set_step(step_);
    shown.set_actor_restarts(restarts);
    shown.clear_multipliers();
    for (size_t c = 0; c < constraints_->size(); ++c) {
      const nlohmann::json figures = metrics["constraints"][constraints_->name(c)];
      v1::MultiplierStatus& multiplier = *shown.add_multipliers();
      multiplier.set_constraint(constraints_->name(c));
      multiplier.set_lambda(constraints_->lambda(c));
      multiplier.set_threshold(constraints_->multiplier(c).threshold());
      multiplier.set_cost_window_mean(constraints_->multiplier(c).window_mean());
      multiplier.set_window_size(static_cast<int32_t>(constraints_->multiplier(c).state().window.size()));
      multiplier.set_violation_rate(figures.value("violation_rate", 0.0));
      multiplier.set_violation_low(figures.value("violation_low", 0.0));
      multiplier.set_violation_high(figures.value("violation_high", 0.0));
      multiplier.set_held(figures.value("held", false));
    }
    shown.clear_metrics();
    for (const char* name : {"reward_mean", "kl", "violation_rate", "response_tokens", "tokens_per_second",
                             "logprob_gap", "samples", "dropped"}) {
      if (!metrics.contains(name)) continue;
      v1::Metric& metric = *shown.add_metrics();
      metric.set_name(name);
      metric.set_value(metrics[name].get<double>());
    }
    v1::Metric& total = *shown.add_metrics();
    total.set_name("step_seconds");
    total.set_value(metrics["seconds"]["total"].get<double>());
  });
}

}  // namespace rein::coordinator
