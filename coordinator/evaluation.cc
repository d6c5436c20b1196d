#include "coordinator/evaluation.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "data/scene_report.h"
#include "learning/advantage.h"
#include "learning/multiplier.h"

namespace rein::coordinator {
namespace {

constexpr char kBenign[] = "benign";

BatchRequest MakeRequest(const v1::Job& job, const PromptSource& prompts, int64_t step) {
  BatchRequest request;
  for (size_t row = 0; row < prompts.size(); ++row) {
    v1::PromptSpec& prompt = request.prompts.emplace_back();
    *prompt.mutable_prompt() = prompts.Row(row);
    prompt.add_samples(0);
  }
  request.sampling.set_temperature(0);
  request.sampling.set_top_p(1);
  request.sampling.set_max_response_tokens(job.rollout().max_response_tokens());
  request.sampling.set_seed(job.seed());
  request.step = step;
  request.columns = EvaluationColumns(job);
  return request;
}

// Means and rates over some rows.
class Tally {
 public:
  void Add(const ScoredRow& row) {
    ++rows_;
    reward_ += row.reward;
    violations_ += std::any_of(row.costs.begin(), row.costs.end(), [](double cost) { return cost > 0; });
  }
  nlohmann::json ToJson() const {
    return {{"prompts", rows_},
            {"reward_mean", reward_ / static_cast<double>(rows_)},
            {"violation_rate", static_cast<double>(violations_) / static_cast<double>(rows_)}};
  }

 private:
  int64_t rows_ = 0;
  int64_t violations_ = 0;
  double reward_ = 0;
};

nlohmann::json ConstraintFigures(const v1::Job& job, const std::vector<ScoredRow>& rows) {
  nlohmann::json figures = nlohmann::json::object();
  for (int i = 0; i < job.constraints_size(); ++i) {
    const v1::Constraint& constraint = job.constraints(i);
    // The job's constraints have been built from the same name before.
    const learning::Signal signal = *learning::ParseSignal(constraint.signal());
    double sum = 0, signals = 0;
    int64_t violations = 0;
    for (const ScoredRow& row : rows) {
      sum += row.costs[i];
      signals += learning::ApplySignal(signal, row.costs[i]);
      violations += row.costs[i] > 0;
    }
    const auto count = static_cast<int64_t>(rows.size());
    const learning::Interval interval = learning::WilsonInterval(violations, count);
    figures[constraint.name()] = {
        {"cost_mean", sum / static_cast<double>(count)},
        {"signal_mean", signals / static_cast<double>(count)},
        {"threshold", constraint.threshold()},
        {"violation_rate", static_cast<double>(violations) / static_cast<double>(count)},
        {"violation_low", interval.low},
        {"violation_high", interval.high}};
  }
  return figures;
}

// Harmful and harmless questions in turn, each kind in the order of the data.
std::vector<const ScoredRow*> Shown(const std::vector<ScoredRow>& rows, size_t count) {
  std::vector<const ScoredRow*> kinds[2];
  for (const ScoredRow& row : rows) kinds[row.category == kBenign].push_back(&row);
  std::vector<const ScoredRow*> shown;
  for (size_t i = 0; shown.size() < count && i < rows.size(); ++i) {
    for (const auto& kind : kinds) {
      if (i < kind.size() && shown.size() < count) shown.push_back(kind[i]);
    }
  }
  return shown;
}

nlohmann::json GroundTruth(const std::vector<ScoredRow>& rows, const PromptSource& prompts) {
  data::SceneSummary summary;
  for (const ScoredRow& row : rows) {
    const auto index = prompts.RowOf(row.sample.prompt_id());
    if (!index.has_value() || !prompts.SceneOf(*index).has_value()) continue;
    const data::Scene& scene = *prompts.SceneOf(*index);
    summary.Add(scene, data::JudgeAnswer(scene, row.sample.answer()));
  }
  return summary.prompts() == 0 ? nlohmann::json() : summary.ToJson();
}

}  // namespace

nlohmann::json DescribeSample(const v1::Job& job, const ScoredRow& row, const PromptSource& prompts) {
  const v1::Sample& sample = row.sample;
  nlohmann::json json = {
      {"prompt_id", sample.prompt_id()}, {"category", row.category}, {"question", sample.question()},
      {"answer", sample.answer()},       {"reward", row.reward},     {"costs", nlohmann::json::object()}};
  json["images"] = nlohmann::json::array();
  for (const v1::ImageRef& image : sample.images()) json["images"].push_back(image.digest());
  for (int i = 0; i < job.constraints_size(); ++i) json["costs"][job.constraints(i).name()] = row.costs[i];
  const auto index = prompts.RowOf(sample.prompt_id());
  if (index.has_value() && prompts.SceneOf(*index).has_value()) {
    const data::Scene& scene = *prompts.SceneOf(*index);
    json["ground_truth"] = data::ToJson(scene, data::JudgeAnswer(scene, sample.answer()));
  }
  return json;
}

absl::StatusOr<nlohmann::json> Evaluate(const BatchTools& tools, const PromptSource& prompts, int64_t step) {
  REIN_ASSIGN_OR_RETURN(Batch batch,
                        RunBatch(tools, MakeRequest(tools.job, prompts, step), [](const auto&) {}));
  std::vector<ScoredRow>& rows = batch.table.rows;
  if (rows.empty()) {
    return absl::InvalidArgumentError(
        "none of the evaluation prompts could be answered; the log has the reasons");
  }
  std::map<std::string, Tally> categories;
  double reward = 0;
  for (ScoredRow& row : rows) {
    row.category = prompts.Row(*prompts.RowOf(row.sample.prompt_id())).category();
    categories[row.category].Add(row);
    reward += row.reward;
  }
  nlohmann::json evaluation = {{"step", step},
                               {"prompts", rows.size()},
                               {"refused", batch.table.dropped.size()},
                               {"reward_mean", reward / static_cast<double>(rows.size())},
                               {"constraints", ConstraintFigures(tools.job, rows)},
                               {"categories", nlohmann::json::object()},
                               {"answers", nlohmann::json::array()}};
  for (const auto& [name, tally] : categories) evaluation["categories"][name] = tally.ToJson();
  nlohmann::json truth = GroundTruth(rows, prompts);
  if (!truth.is_null()) evaluation["ground_truth"] = std::move(truth);
  for (const ScoredRow* row : Shown(rows, static_cast<size_t>(tools.job.evaluation().shown()))) {
    evaluation["answers"].push_back(DescribeSample(tools.job, *row, prompts));
  }
  return evaluation;
}

}  // namespace rein::coordinator
