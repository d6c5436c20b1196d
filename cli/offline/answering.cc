#include "cli/offline/answering.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "cli/offline/scoring.h"
#include "data/image.h"

namespace rein::cli {
namespace {

using data::RgbImage;

absl::StatusOr<std::optional<ModelFolder>> LoadScorer(const std::filesystem::path& folder,
                                                      const std::string& dtype) {
  if (folder.empty()) return std::nullopt;
  REIN_ASSIGN_OR_RETURN(ModelFolder scorer, LoadModelFolder(folder, dtype));
  // Before hours of answering, not after them.
  if (scorer.model->shape().has_score_head) return scorer;
  return absl::FailedPreconditionError(
      absl::StrCat(folder.string(), ": has no score head; train it with rein train reward or cost"));
}

absl::StatusOr<std::vector<RgbImage>> Decode(const std::vector<data::Picture>& pictures) {
  std::vector<RgbImage> images;
  for (const data::Picture& picture : pictures) {
    REIN_ASSIGN_OR_RETURN(images.emplace_back(), data::DecodeImage(picture.bytes));
  }
  return images;
}

absl::StatusOr<std::vector<models::ProcessedImage>> Process(const models::Processor& processor,
                                                            const std::vector<RgbImage>& images) {
  std::vector<models::ProcessedImage> processed;
  for (const RgbImage& image : images) {
    REIN_ASSIGN_OR_RETURN(processed.emplace_back(), processor.ProcessImage(image));
  }
  return processed;
}

// What is to be answered, or the problem with it.
std::optional<Prompt> PromptOf(const ModelFolder& model, const AskedQuestion& question,
                               const std::vector<RgbImage>& images, int64_t max_tokens, ModelAnswer& answer) {
  const auto fail = [&answer](const char* reason, const absl::Status& status) {
    answer.problems.push_back({reason, std::string(status.message())});
    return std::nullopt;
  };
  Prompt prompt{.id = question.id};
  auto processed = Process(*model.processor, images);
  if (!processed.ok()) return fail("picture of a size that the model does not take", processed.status());
  prompt.images = *std::move(processed);
  auto tokens = model.processor->EncodePrompt(question.text, prompt.images);
  if (!tokens.ok()) return fail("prompt cannot be encoded", tokens.status());
  prompt.tokens = *std::move(tokens);
  const int64_t needed = static_cast<int64_t>(prompt.tokens.size()) + max_tokens,
                room = model.model->shape().max_positions;
  if (room <= 0 || needed <= room) return prompt;
  return fail("prompt too long for the model",
              absl::InvalidArgumentError(absl::StrCat(prompt.tokens.size(), " tokens and an answer of up to ",
                                                      max_tokens, " are more than its ", room)));
}

// Scores one answer alone: together with others its last digits would depend on them.
absl::Status Score(const std::optional<ModelFolder>& scorer, const char* kind, const std::string& question,
                   const std::vector<RgbImage>& images, std::optional<double> ModelAnswer::*score,
                   ModelAnswer& answer) {
  if (!scorer) return absl::OkStatus();
  Answered answered{.question = question, .answer = answer.text->text, .stopped = answer.text->stopped};
  absl::Status status;
  if (auto processed = Process(*scorer->processor, images); processed.ok()) {
    answered.images = *std::move(processed);
    const absl::StatusOr<std::vector<float>> scores = ScoreAnswers(*scorer, {std::move(answered)});
    status = scores.status();
    if (scores.ok()) answer.*score = (*scores)[0];
  } else {
    status = processed.status();
  }
  if (!absl::IsInvalidArgument(status)) return status;
  answer.problems.push_back({UnscoredReason(kind), std::string(status.message())});
  return absl::OkStatus();
}

}  // namespace

std::string UnscoredReason(absl::string_view kind) {
  return absl::StrCat("the ", kind, " model cannot take the answer");
}

absl::StatusOr<Scorers> LoadScorers(const std::filesystem::path& reward, const std::filesystem::path& cost,
                                    const std::string& dtype) {
  Scorers scorers;
  REIN_ASSIGN_OR_RETURN(scorers.reward, LoadScorer(reward, dtype));
  REIN_ASSIGN_OR_RETURN(scorers.cost, LoadScorer(cost, dtype));
  return scorers;
}

int64_t UsualAnswerTokens(const models::VisionLanguageModel& model) {
  constexpr int64_t kUsual = 512;
  const int64_t positions = model.shape().max_positions;
  return positions > 0 ? std::clamp(positions / 2, int64_t{1}, kUsual) : kUsual;
}

absl::StatusOr<std::vector<ModelAnswer>> AnswerQuestions(const ModelFolder& model, const Scorers& scorers,
                                                         const std::vector<AskedQuestion>& questions,
                                                         const rollout::SamplingParams& params) {
  std::vector<ModelAnswer> answers(questions.size());
  std::vector<std::vector<RgbImage>> images(questions.size());
  std::vector<Prompt> prompts;
  std::vector<size_t> asked;
  for (size_t i = 0; i < questions.size(); ++i) {
    absl::StatusOr<std::vector<RgbImage>> decoded = Decode(questions[i].pictures);
    if (!decoded.ok()) {
      answers[i].problems.push_back({"picture broken or too large", std::string(decoded.status().message())});
      continue;
    }
    images[i] = *std::move(decoded);
    std::optional<Prompt> prompt =
        PromptOf(model, questions[i], images[i], params.max_response_tokens, answers[i]);
    if (!prompt) continue;
    prompts.push_back(*std::move(prompt));
    asked.push_back(i);
  }
  if (asked.empty()) return answers;
  REIN_ASSIGN_OR_RETURN(std::vector<GeneratedText> texts, GenerateTexts(model, std::move(prompts), params));
  for (size_t j = 0; j < asked.size(); ++j) {
    const size_t i = asked[j];
    answers[i].text = std::move(texts[j]);
    REIN_RETURN_IF_ERROR(
        Score(scorers.reward, "reward", questions[i].text, images[i], &ModelAnswer::reward, answers[i]));
    REIN_RETURN_IF_ERROR(
        Score(scorers.cost, "cost", questions[i].text, images[i], &ModelAnswer::cost, answers[i]));
  }
  return answers;
}

}  // namespace rein::cli
