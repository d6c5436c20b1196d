#include "cli/offline/scene_evaluation.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/offline/generation.h"
#include "cli/offline/scoring.h"
#include "learning/advantage.h"

namespace rein::cli {
namespace {

using nlohmann::json;

struct Scorers {
  std::optional<ModelFolder> reward, cost;
};

absl::StatusOr<Scorers> LoadScorers(const SceneEvaluationOptions& options) {
  Scorers scorers;
  if (!options.reward.empty()) {
    REIN_ASSIGN_OR_RETURN(scorers.reward, LoadModelFolder(options.reward));
  }
  if (!options.cost.empty()) {
    REIN_ASSIGN_OR_RETURN(scorers.cost, LoadModelFolder(options.cost));
  }
  return scorers;
}

absl::StatusOr<std::vector<GeneratedText>> AnswerAll(const NamedModel& model, const SceneQuestions& questions,
                                                     int64_t max_tokens) {
  REIN_ASSIGN_OR_RETURN(const ModelFolder folder, LoadModelFolder(model.folder));
  std::vector<Prompt> prompts;
  for (size_t i = 0; i < questions.scenes().size(); ++i) {
    Prompt prompt;
    REIN_ASSIGN_OR_RETURN(prompt.images.emplace_back(),
                          ProcessPicture(*folder.processor, questions.pictures()[i]));
    REIN_ASSIGN_OR_RETURN(prompt.tokens,
                          folder.processor->EncodePrompt(questions.scenes()[i].question, prompt.images));
    prompts.push_back(std::move(prompt));
  }
  return GenerateTexts(folder, std::move(prompts), {.temperature = 0, .max_response_tokens = max_tokens});
}

absl::StatusOr<std::vector<float>> ScoreAll(const ModelFolder& scorer, const SceneQuestions& questions,
                                            const std::vector<GeneratedText>& texts) {
  std::vector<Answered> answers;
  for (size_t i = 0; i < texts.size(); ++i) {
    Answered answer{
        .question = questions.scenes()[i].question, .answer = texts[i].text, .stopped = texts[i].stopped};
    REIN_ASSIGN_OR_RETURN(answer.images.emplace_back(),
                          ProcessPicture(*scorer.processor, questions.pictures()[i]));
    answers.push_back(std::move(answer));
  }
  return ScoreAnswers(scorer, answers);
}

double MeanOf(const std::vector<float>& values) {
  double sum = 0;
  for (const float value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

absl::Status AddScores(const Scorers& scorers, const SceneQuestions& questions,
                       const std::vector<GeneratedText>& texts, json& result) {
  if (scorers.reward) {
    REIN_ASSIGN_OR_RETURN(const std::vector<float> rewards, ScoreAll(*scorers.reward, questions, texts));
    result["reward_mean"] = MeanOf(rewards);
  }
  if (!scorers.cost) return absl::OkStatus();
  REIN_ASSIGN_OR_RETURN(const std::vector<float> costs, ScoreAll(*scorers.cost, questions, texts));
  int64_t violations = 0;
  for (const float cost : costs) violations += cost > 0 ? 1 : 0;
  const auto trials = static_cast<int64_t>(costs.size());
  const learning::Interval interval = learning::WilsonInterval(violations, trials);
  result["cost_mean"] = MeanOf(costs);
  result["violation_rate"] = static_cast<double>(violations) / static_cast<double>(trials);
  result["violation_low"] = interval.low;
  result["violation_high"] = interval.high;
  return absl::OkStatus();
}

absl::StatusOr<json> EvaluateOne(const NamedModel& model, const SceneQuestions& questions,
                                 const Scorers& scorers, int64_t max_tokens) {
  REIN_ASSIGN_OR_RETURN(const std::vector<GeneratedText> texts, AnswerAll(model, questions, max_tokens));
  data::SceneSummary summary;
  for (size_t i = 0; i < texts.size(); ++i) {
    const data::Scene& scene = questions.scenes()[i];
    summary.Add(scene, data::JudgeAnswer(scene, texts[i].text));
  }
  json result = {{"name", model.name}, {"folder", model.folder.string()}, {"ground_truth", summary.ToJson()}};
  REIN_RETURN_IF_ERROR(AddScores(scorers, questions, texts, result));
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
  REIN_ASSIGN_OR_RETURN(const Scorers scorers, LoadScorers(options));
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
