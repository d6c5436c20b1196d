#include "cli/offline/scene_evaluation.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/offline/answering.h"
#include "learning/advantage.h"

namespace rein::cli {
namespace {

using nlohmann::json;

absl::StatusOr<std::vector<ModelAnswer>> AnswerAll(const NamedModel& named, const SceneQuestions& questions,
                                                   const Scorers& scorers, int64_t max_tokens) {
  REIN_ASSIGN_OR_RETURN(const ModelFolder model, LoadModelFolder(named.folder));
  std::vector<AskedQuestion> asked;
  for (size_t i = 0; i < questions.scenes().size(); ++i) {
    asked.push_back({.id = absl::StrCat("scene ", i + 1),
                     .text = questions.scenes()[i].question,
                     .pictures = {{questions.pictures()[i], ""}}});
  }
  REIN_ASSIGN_OR_RETURN(
      std::vector<ModelAnswer> answers,
      AnswerQuestions(model, scorers, asked, {.temperature = 0, .max_response_tokens = max_tokens}));
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].problems.empty()) continue;
    const Problem& problem = answers[i].problems[0];
    return absl::InvalidArgumentError(absl::StrCat(asked[i].id, ": ", problem.reason, ": ", problem.detail));
  }
  return answers;
}

double MeanOf(const std::vector<ModelAnswer>& answers, std::optional<double> ModelAnswer::*score) {
  double sum = 0;
  for (const ModelAnswer& answer : answers) sum += *(answer.*score);
  return sum / static_cast<double>(answers.size());
}

void AddScores(const Scorers& scorers, const std::vector<ModelAnswer>& answers, json& result) {
  if (scorers.reward) result["reward_mean"] = MeanOf(answers, &ModelAnswer::reward);
  if (!scorers.cost) return;
  int64_t violations = 0;
  for (const ModelAnswer& answer : answers) violations += *answer.cost > 0 ? 1 : 0;
  const auto trials = static_cast<int64_t>(answers.size());
  const learning::Interval interval = learning::WilsonInterval(violations, trials);
  result["cost_mean"] = MeanOf(answers, &ModelAnswer::cost);
  result["violation_rate"] = static_cast<double>(violations) / static_cast<double>(trials);
  result["violation_low"] = interval.low;
  result["violation_high"] = interval.high;
}

absl::StatusOr<json> EvaluateOne(const NamedModel& model, const SceneQuestions& questions,
                                 const Scorers& scorers, int64_t max_tokens) {
  REIN_ASSIGN_OR_RETURN(const std::vector<ModelAnswer> answers,
                        AnswerAll(model, questions, scorers, max_tokens));
  data::SceneSummary summary;
  for (size_t i = 0; i < answers.size(); ++i) {
    const data::Scene& scene = questions.scenes()[i];
    summary.Add(scene, data::JudgeAnswer(scene, answers[i].text->text));
  }
  json result = {{"name", model.name}, {"folder", model.folder.string()}, {"ground_truth", summary.ToJson()}};
  AddScores(scorers, answers, result);
  return result;
}

}  // namespace

absl::StatusOr<SceneQuestions> SceneQuestions::Load(const std::filesystem::path& data, int64_t prompts) {
  SceneQuestions questions;
  const absl::Status enough = absl::CancelledError("enough rows");
  const auto keep = [&](data::PreferenceRow row) -> absl::Status {
    if (prompts > 0 && static_cast<int64_t>(questions.scenes_.size()) == prompts) return enough;
    absl::StatusOr<data::Scene> scene = data::SceneOfRow(row);
    if (!scene.ok()) {
      return WithContext(scene.status(),
                         absl::StrCat(data.string(), ": only scenes (rein data scenes) have a ground truth"));
    }
    questions.scenes_.push_back(*std::move(scene));
    questions.pictures_.push_back(std::move(row.pictures[0].bytes));
    return absl::OkStatus();
  };
  const absl::Status read = data::ReadPreferences(data, {}, keep).status();
  if (!read.ok() && read != enough) return read;
  if (questions.scenes_.empty())
    return absl::InvalidArgumentError(absl::StrCat(data.string(), ": none of its rows can be used"));
  return questions;
}

absl::StatusOr<json> EvaluateScenes(const std::vector<NamedModel>& models,
                                    const SceneEvaluationOptions& options) {
  REIN_ASSIGN_OR_RETURN(const SceneQuestions questions, SceneQuestions::Load(options.data, options.prompts));
  REIN_ASSIGN_OR_RETURN(const Scorers scorers, LoadScorers(options.reward, options.cost));
  json results = json::array();
  for (const NamedModel& model : models) {
    const absl::StatusOr<json> result = EvaluateOne(model, questions, scorers, options.max_tokens);
    if (!result.ok()) return WithContext(result.status(), absl::StrCat("model ", model.name));
    results.push_back(*result);
  }
  return json{{"synthetic", true},
              {"data", options.data.string()},
              {"prompts", questions.scenes().size()},
              {"models", results}};
}

}  // namespace rein::cli
