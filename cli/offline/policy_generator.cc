#include "cli/offline/policy_generator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::cli {

absl::StatusOr<std::vector<guard::Generated>> PolicyGenerator::Generate(
    absl::Span<const guard::Attempt> attempts) {
  std::vector<AskedQuestion> questions;
  for (const guard::Attempt& attempt : attempts) {
    questions.push_back({.id = absl::StrCat(attempt.question->id, " seed ", attempt.seed),
                         .text = attempt.prompt,
                         .pictures = attempt.question->pictures});
  }
  REIN_ASSIGN_OR_RETURN(std::vector<ModelAnswer> answers, AnswerQuestions(policy_, {}, questions, params_));
  std::vector<guard::Generated> generated(answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    if (answers[i].text) {
      generated[i].answer = std::move(answers[i].text->text);
    } else {
      const Problem& problem = answers[i].problems.at(0);
      generated[i].failure = absl::StrCat(problem.reason, ": ", problem.detail);
    }
  }
  return generated;
}

}  // namespace rein::cli
