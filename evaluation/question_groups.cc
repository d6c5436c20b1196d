#include "evaluation/question_groups.h"

namespace rein::evaluation {

QuestionGroups GroupQuestions(const std::vector<const Question*>& questions) {
  QuestionGroups groups;
  for (size_t i = 0; i < questions.size(); ++i) {
    const Question& question = *questions[i];
    groups.all.push_back(i);
    if (question.harmful()) groups.harmful.push_back(i);
    if (question.benign()) groups.benign.push_back(i);
    if (!question.category.empty()) groups.categories[question.category].push_back(i);
    if (!question.severity.empty()) groups.severities[question.severity].push_back(i);
  }
  return groups;
}

}  // namespace rein::evaluation
