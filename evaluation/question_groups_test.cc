#include "evaluation/question_groups.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

Question Of(const std::string& category, const std::string& severity) {
  Question question;
  question.category = category;
  question.severity = severity;
  return question;
}

TEST(QuestionGroups, FollowCategoryAndSeverity) {
  const Question benign = Of("benign", "safe"), harmful = Of("animal_abuse", "minor"),
                 unsaid = Of("", "minor");
  const QuestionGroups groups = GroupQuestions({&benign, &harmful, &unsaid, &benign});
  EXPECT_THAT(groups.all, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(groups.benign, ElementsAre(0, 3));
  EXPECT_THAT(groups.harmful, ElementsAre(1));
  EXPECT_THAT(groups.categories,
              ElementsAre(Pair("animal_abuse", ElementsAre(1)), Pair("benign", ElementsAre(0, 3))));
  EXPECT_THAT(groups.severities,
              ElementsAre(Pair("minor", ElementsAre(1, 2)), Pair("safe", ElementsAre(0, 3))));
}

TEST(QuestionGroups, OfNoQuestionsAreEmpty) {
  EXPECT_THAT(GroupQuestions({}).all, IsEmpty());
  EXPECT_THAT(GroupQuestions({}).categories, IsEmpty());
}

}  // namespace
}  // namespace rein::evaluation
