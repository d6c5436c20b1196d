// Which questions are looked at together.
#pragma once

#include <cstddef>
#include <map>
#include <string>
#include <vector>

#include "evaluation/answers.h"

namespace rein::evaluation {

// Indices of questions.
using Selection = std::vector<size_t>;

struct QuestionGroups {
  Selection all, harmful, benign;  // harmful and benign: those of which the category is said
  std::map<std::string, Selection> categories, severities;  // by name; those of which it is said
};

QuestionGroups GroupQuestions(const std::vector<const Question*>& questions);

}  // namespace rein::evaluation
