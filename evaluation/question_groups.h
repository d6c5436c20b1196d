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

// Fills the groups of a summary: `group_of(name, selection)` is what some of the questions come to.
template <typename Summary, typename GroupOf>
void FillGroups(const QuestionGroups& groups, const GroupOf& group_of, Summary& summary) {
  summary.all = group_of("all", groups.all);
  summary.harmful = group_of("harmful", groups.harmful);
  summary.benign = group_of("benign", groups.benign);
  for (const auto& [name, selection] : groups.categories)
    summary.categories.push_back(group_of(name, selection));
  for (const auto& [name, selection] : groups.severities)
    summary.severities.push_back(group_of(name, selection));
}

}  // namespace rein::evaluation
