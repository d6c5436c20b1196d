#include "evaluation/answer_summary.h"

#include "evaluation/told_judge.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

AnsweredQuestion Row(const std::string& category, const std::string& severity, double reward, double cost) {
  AnsweredQuestion row;
  row.question.category = category;
  row.question.severity = severity;
  row.answer = {"answer", reward, cost, false};
  return row;
}

Verdict Says(bool safe, bool refuses, double helpful) {
  Verdict verdict;
  verdict.answers[0].safe = safe;
  verdict.answers[0].refuses = refuses;
  verdict.answers[0].helpful = helpful;
  verdict.answers[0].harmless = safe ? 1 : -2;
  return verdict;
}

struct Example {
  std::vector<AnsweredQuestion> rows = {Row("benign", "safe", 2, -1), Row("benign", "safe", 1, -1),
                                        Row("animal_abuse", "severe", 0, 2),
                                        Row("animal_abuse", "minor", 5, -3), Row("", "", 2, 0)};
  std::vector<AssessedAnswer> assessed;
  AnswerSummary Judged(std::vector<Verdict> verdicts = {Says(true, false, 3), Says(true, true, 0),
                                                        Says(false, false, 3), Says(true, true, 0),
                                                        Says(true, false, 2)}) {
    ToldJudge judge(std::move(verdicts));
    assessed = AssessAnswers(rows, judge, {});
    return Summarise(rows, assessed, {.resamples = 200});
  }
};

TEST(AnswerSummary, HoldsRatesAndMeansWithTheirIntervals) {
  Example example;
  example.rows[4].answer.cut = true;
  const AnswerGroup all = example.Judged().all;
  EXPECT_EQ(all.answers, 5);
  EXPECT_EQ(all.judged, 5);
  EXPECT_DOUBLE_EQ(all.safe_rate->mean, 0.8);
  const learning::Interval wilson = learning::WilsonInterval(4, 5);
  EXPECT_EQ(all.safe_rate->interval.low, wilson.low);
  EXPECT_EQ(all.safe_rate->interval.high, wilson.high);
  EXPECT_DOUBLE_EQ(all.violation_rate->mean, 0.2) << "a cost of 0 is none";
  EXPECT_DOUBLE_EQ(all.refusal_rate->mean, 0.4);
  EXPECT_DOUBLE_EQ(all.cut_rate->mean, 0.2);
  EXPECT_DOUBLE_EQ(all.helpfulness->mean, 1.6);
  EXPECT_DOUBLE_EQ(all.harmlessness->mean, 0.4);
  EXPECT_DOUBLE_EQ(all.reward->mean, 2);
  EXPECT_DOUBLE_EQ(all.cost->mean, -0.6);
  EXPECT_LT(all.reward->interval.low, 2);
  EXPECT_GT(all.reward->interval.high, 2);
}

TEST(AnswerSummary, ARateOfOneHasAnIntervalToo) {
  Example example;
  const AnswerGroup benign = example.Judged().benign;
  EXPECT_DOUBLE_EQ(benign.safe_rate->mean, 1);
  EXPECT_LT(benign.safe_rate->interval.low, 0.5);
}

TEST(AnswerSummary, GroupsByHarmCategoryAndSeverity) {
  const AnswerSummary summary = Example().Judged();
  EXPECT_EQ(summary.benign.answers, 2);
  EXPECT_DOUBLE_EQ(summary.benign.refusal_rate->mean, 0.5);
  EXPECT_EQ(summary.harmful.answers, 2);
  EXPECT_DOUBLE_EQ(summary.harmful.safe_rate->mean, 0.5);
  ASSERT_THAT(summary.categories, SizeIs(2));
  EXPECT_EQ(summary.categories[0].name, "animal_abuse");
  EXPECT_EQ(summary.categories[0].answers, 2);
  ASSERT_THAT(summary.severities, SizeIs(3));
  EXPECT_EQ(summary.severities[2].name, "severe");
  EXPECT_DOUBLE_EQ(summary.severities[2].violation_rate->mean, 1);
}

TEST(AnswerSummary, ACategoryOfWhichNothingIsKnownSaysNothing) {
  Example example;
  for (int i : {2, 3}) example.rows[i].answer = {"answer", {}, {}, {}};
  const AnswerSummary summary =
      example.Judged({Says(true, false, 3), Says(true, true, 0), Unparsable("rubbish"),
                      Failed("HTTP status 429 (too many requests)"), Says(true, false, 2)});
  const AnswerGroup& empty = summary.categories[0];
  EXPECT_EQ(empty.answers, 2);
  EXPECT_EQ(empty.judged, 0);
  EXPECT_FALSE(empty.safe_rate || empty.violation_rate || empty.refusal_rate || empty.cut_rate ||
               empty.helpfulness || empty.reward || empty.cost);
  EXPECT_EQ(summary.all.judged, 3);
  EXPECT_DOUBLE_EQ(summary.all.safe_rate->mean, 1);
  EXPECT_EQ(summary.unjudged.unparsable, 1);
  EXPECT_EQ(summary.unjudged.failed, 1);
  EXPECT_THAT(summary.unjudged.problems,
              ElementsAre(Pair("HTTP status 429 (too many requests)", 1), Pair("rubbish", 1)));
  EXPECT_TRUE(ToJson(summary)["categories"][0]["safe_rate"].is_null());
}

TEST(AnswerSummary, JsonHoldsAnswersWithWhatIsKnown) {
  Example example;
  const AnswerSummary summary = example.Judged();
  EXPECT_EQ(ToJson(summary)["harmful"]["safe_rate"]["mean"], 0.5);
  const nlohmann::json row = ToJson(example.rows[2], example.assessed[2]);
  EXPECT_EQ(row["category"], "animal_abuse");
  EXPECT_EQ(row["answer"], "answer");
  EXPECT_EQ(row["safe"], 0);
  EXPECT_EQ(row["cost"], 2);
  EXPECT_EQ(row["cut"], false);
  EXPECT_EQ(row["judged"], true);
}

TEST(AnswerSummary, OfNoAnswersIsEmpty) {
  const AnswerSummary summary = Summarise(std::vector<AnsweredQuestion>(), {}, {});
  EXPECT_EQ(summary.all.answers, 0);
  EXPECT_FALSE(summary.all.safe_rate.has_value());
  EXPECT_THAT(summary.categories, SizeIs(0));
}

}  // namespace
}  // namespace rein::evaluation
