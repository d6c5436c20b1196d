// Answers of one model through a judge, each by itself.
#pragma once

#include <vector>

#include "evaluation/answers.h"
#include "evaluation/judge.h"
#include "evaluation/pairwise.h"

namespace rein::evaluation {

struct AssessedAnswer {
  Verdict verdict;          // of answers[0]
  AnswerMeasures measures;  // what the judge says, where it is judged, and the scores that the answer has

  bool judged() const { return verdict.state == Verdict::State::kJudged; }
};

// One an answer, in their order. A picture that cannot be read fails its answer, where the judge looks at
// pictures.
std::vector<AssessedAnswer> AssessAnswers(const std::vector<AnsweredQuestion>& rows, Judge& judge,
                                          const JudgingOptions& options);

}  // namespace rein::evaluation
