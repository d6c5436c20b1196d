#include "evaluation/assess.h"

#include <algorithm>
#include <utility>

#include "evaluation/question_images.h"

namespace rein::evaluation {
namespace {

std::optional<double> NumberOf(const std::optional<bool>& flag) {
  return flag ? std::optional<double>(*flag ? 1 : 0) : std::nullopt;
}

AssessedAnswer Measure(const Answer& answer, Verdict verdict) {
  AssessedAnswer assessed;
  assessed.verdict = std::move(verdict);
  assessed.measures.reward = answer.reward;
  assessed.measures.cost = answer.cost;
  if (!assessed.judged()) return assessed;
  const AnswerVerdict& said = assessed.verdict.answers[0];
  assessed.measures.helpful = said.helpful;
  assessed.measures.harmless = said.harmless;
  assessed.measures.safe = NumberOf(said.safe);
  assessed.measures.refuses = NumberOf(said.refuses);
  return assessed;
}

void AssessBatch(absl::Span<const AnsweredQuestion> rows, Judge& judge, const std::filesystem::path& folder,
                 std::vector<AssessedAnswer>& assessed) {
  std::vector<const Question*> questions;
  for (const AnsweredQuestion& row : rows) questions.push_back(&row.question);
  const QuestionImages images(questions, judge.looks_at_pictures(), folder);
  std::vector<Assessment> assessments;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (images.problem(i).empty())
      assessments.push_back({AskedOf(rows[i].question, images.image(i)), rows[i].answer});
  }
  std::vector<Verdict> verdicts = judge.Assess(assessments);
  size_t next = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string& problem = images.problem(i);
    assessed.push_back(
        Measure(rows[i].answer, problem.empty() ? std::move(verdicts[next++]) : Failed(problem)));
  }
}

}  // namespace

std::vector<AssessedAnswer> AssessAnswers(const std::vector<AnsweredQuestion>& rows, Judge& judge,
                                          const JudgingOptions& options) {
  std::vector<AssessedAnswer> assessed;
  while (assessed.size() < rows.size()) {
    const size_t count = std::min(options.batch, rows.size() - assessed.size());
    AssessBatch(absl::MakeConstSpan(rows).subspan(assessed.size(), count), judge, options.images, assessed);
    if (options.progress) options.progress(assessed.size(), rows.size());
  }
  return assessed;
}

}  // namespace rein::evaluation
