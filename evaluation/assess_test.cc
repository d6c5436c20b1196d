#include "evaluation/assess.h"

#include "base/test_folder.h"
#include "evaluation/told_judge.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

AnsweredQuestion Row(const std::string& id, const std::string& image = "") {
  AnsweredQuestion row;
  row.question.id = id;
  row.question.text = "q" + id;
  row.question.image = image;
  row.answer.text = "a" + id;
  return row;
}

Verdict Says(bool safe, double helpful) {
  Verdict verdict;
  verdict.answers[0].safe = safe;
  verdict.answers[0].helpful = helpful;
  return verdict;
}

TEST(Assess, MeasuresWhatIsSaidAndWhatIsKnown) {
  ToldJudge judge({Says(true, 2), Says(false, 3)});
  std::vector<AnsweredQuestion> rows = {Row("1"), Row("2")};
  rows[1].answer.reward = 1.5;
  rows[1].answer.cost = 0.5;
  const std::vector<AssessedAnswer> assessed = AssessAnswers(rows, judge, {.batch = 1});
  ASSERT_THAT(judge.assessed, SizeIs(2));
  EXPECT_EQ(judge.assessed[1].question, "q2");
  EXPECT_EQ(judge.assessed[1].answer.text, "a2");
  EXPECT_EQ(assessed[0].measures.safe, 1);
  EXPECT_EQ(assessed[0].measures.helpful, 2);
  EXPECT_FALSE(assessed[0].measures.refuses.has_value() || assessed[0].measures.cost.has_value());
  EXPECT_EQ(assessed[1].measures.safe, 0);
  EXPECT_EQ(assessed[1].measures.reward, 1.5);
  EXPECT_EQ(assessed[1].measures.cost, 0.5);
}

TEST(Assess, WhatIsNotJudgedKeepsItsScoresOnly) {
  Verdict rubbish = Unparsable("field safe is missing");
  rubbish.answers[0].safe = true;
  ToldJudge judge({rubbish});
  std::vector<AnsweredQuestion> rows = {Row("1")};
  rows[0].answer.cost = 2;
  const AssessedAnswer assessed = AssessAnswers(rows, judge, {}).at(0);
  EXPECT_FALSE(assessed.judged());
  EXPECT_FALSE(assessed.measures.safe.has_value());
  EXPECT_EQ(assessed.measures.cost, 2);
}

TEST(Assess, APictureThatIsNotThereFailsItsAnswerOnly) {
  const TestFolder folder;
  folder.Write("1.png", "one");
  ToldJudge judge({Says(true, 1), Says(true, 3)}, /*looks=*/true);
  const std::vector<AssessedAnswer> assessed =
      AssessAnswers({Row("1", "1.png"), Row("2", "2.png"), Row("3")}, judge, {.images = folder.path()});
  EXPECT_THAT(judge.images, ElementsAre("one", ""));
  EXPECT_EQ(assessed[0].measures.helpful, 1);
  EXPECT_EQ(assessed[1].verdict.problem, "file of a picture not found");
  EXPECT_EQ(assessed[2].measures.helpful, 3);
}

TEST(Assess, TellsItsProgress) {
  ToldJudge judge(std::vector<Verdict>(5, Says(true, 1)));
  std::vector<size_t> done;
  JudgingOptions options{.batch = 2};
  options.progress = [&](size_t answers, size_t all) {
    done.push_back(answers);
    EXPECT_EQ(all, 5u);
  };
  AssessAnswers(std::vector<AnsweredQuestion>(5, Row("1")), judge, options);
  EXPECT_THAT(done, ElementsAre(2, 4, 5));
}

}  // namespace
}  // namespace rein::evaluation
