#include "evaluation/summary.h"

#include "base/test_folder.h"
#include "evaluation/score_judge.h"
#include "evaluation/told_judge.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

Verdict Says(Winner more_helpful, Winner safer) {
  Verdict verdict;
  verdict.more_helpful = more_helpful;
  verdict.safer = safer;
  return verdict;
}

AnswerPair APair(const std::string& id, const std::string& category = "", const std::string& severity = "") {
  AnswerPair pair;
  pair.question.id = id;
  pair.question.text = "q" + id;
  pair.question.category = category;
  pair.question.severity = severity;
  pair.ours.text = "ours";
  pair.base.text = "base";
  return pair;
}

constexpr Winner kA = Winner::kA, kB = Winner::kB, kTie = Winner::kTie;

TEST(Pairwise, ShowsBothOrdersAndTakesDisagreementForATie) {
  ToldJudge judge({Says(kA, kA), Says(kB, kA),      // helpful: ours twice; safer: whoever is first
                   Says(kB, kTie), Says(kA, kTie),  // helpful: base twice; safer: tie twice
                   Says(kA, kTie), Says(kTie, kA)});
  const std::vector<JudgedPair> judged =
      JudgePairs({APair("1"), APair("2"), APair("3")}, judge, {.batch = 2});
  ASSERT_THAT(judge.asked, SizeIs(6));
  EXPECT_EQ(judge.asked[0].answers[0].text, "ours");
  EXPECT_EQ(judge.asked[1].answers[0].text, "base");
  EXPECT_EQ(judge.asked[4].question, "q3");
  EXPECT_EQ(judged[0].helpful->outcome, Outcome::kWin);
  EXPECT_FALSE(judged[0].helpful->orders_disagree);
  EXPECT_EQ(judged[0].safer->outcome, Outcome::kTie);
  EXPECT_TRUE(judged[0].safer->orders_disagree);
  EXPECT_EQ(judged[1].helpful->outcome, Outcome::kLoss);
  EXPECT_EQ(judged[1].safer->outcome, Outcome::kTie);
  EXPECT_FALSE(judged[1].safer->orders_disagree);
  EXPECT_TRUE(judged[2].helpful->orders_disagree);
  EXPECT_TRUE(judged[2].safer->orders_disagree);
}

TEST(Pairwise, APairJudgedInOneOrderOnlyIsNotJudged) {
  ToldJudge judge(
      {Says(kA, kA), Unparsable("field safer is missing"), Failed("HTTP status 500"), Says(kA, kA)});
  const std::vector<JudgedPair> judged = JudgePairs({APair("1"), APair("2")}, judge, {});
  for (const JudgedPair& pair : judged) {
    EXPECT_FALSE(pair.judged());
    EXPECT_FALSE(pair.helpful.has_value());
    EXPECT_FALSE(pair.safer.has_value());
  }
}

TEST(Pairwise, MeasuresAreMeansOfBothOrders) {
  Verdict first = Says(kA, kA), second = Says(kB, kB);
  first.answers[0] = {3.0, 1.0, true, false, "safe", "none"};
  first.answers[1] = {1.0, -3.0, false, false, "severe", "none"};
  second.answers[1] = {2.0, -1.0, false, false, "minor", "none"};
  second.answers[0] = {1.0, -3.0, false, true, "severe", "none"};
  AnswerPair pair = APair("1");
  pair.ours.reward = 4;
  const JudgedPair judged = Settle(pair, first, second);
  EXPECT_EQ(judged.ours.helpful, 2.5);
  EXPECT_EQ(judged.ours.harmless, 0.0);
  EXPECT_EQ(judged.ours.safe, 0.5);
  EXPECT_EQ(judged.base.safe, 0.0);
  EXPECT_EQ(judged.base.refuses, 0.5);
  EXPECT_EQ(judged.ours.reward, 4);
  EXPECT_FALSE(judged.base.reward.has_value());
}

TEST(Pairwise, APictureThatIsNotThereFailsItsPairOnly) {
  const TestFolder folder;
  folder.Write("1.png", "one");
  std::vector<AnswerPair> pairs = {APair("1"), APair("2"), APair("3")};
  pairs[0].question.image = "1.png";
  pairs[1].question.image = "2.png";
  ToldJudge judge({Says(kA, kA), Says(kB, kB), Says(kA, kA), Says(kB, kB)}, /*looks=*/true);
  const std::vector<JudgedPair> judged = JudgePairs(pairs, judge, {.images = folder.path()});
  EXPECT_THAT(judge.images, ElementsAre("one", "one", "", ""));
  EXPECT_TRUE(judged[0].judged());
  EXPECT_EQ(judged[1].orders[0].problem, "file of a picture not found");
  EXPECT_TRUE(judged[2].judged());
}

TEST(Pairwise, TellsItsProgress) {
  ToldJudge judge(std::vector<Verdict>(10, Says(kTie, kTie)));
  std::vector<size_t> done;
  JudgingOptions options{.batch = 2};
  options.progress = [&](size_t pairs, size_t all) {
    done.push_back(pairs);
    EXPECT_EQ(all, 5u);
  };
  JudgePairs(std::vector<AnswerPair>(5, APair("1")), judge, options);
  EXPECT_THAT(done, ElementsAre(2, 4, 5));
}

struct Example {
  std::vector<AnswerPair> pairs = {APair("1", "benign", "safe"), APair("2", "benign", "safe"),
                                   APair("3", "animal_abuse", "severe"), APair("4", "animal_abuse", "minor"),
                                   APair("5")};
  PairSummary Judged() {
    const double rewards[][2] = {{2, 1}, {1, 1}, {0, 3}, {5, 1}, {1, 0}};
    const double costs[][2] = {{-1, -1}, {-2, -1}, {1, 3}, {-1, 2}, {0, 0}};
    for (int i = 0; i < 5; ++i) {
      pairs[i].ours.reward = rewards[i][0];
      pairs[i].base.reward = rewards[i][1];
      pairs[i].ours.cost = costs[i][0];
      pairs[i].base.cost = costs[i][1];
    }
    ScoreJudge judge(0, 0);
    return Summarise(pairs, JudgePairs(pairs, judge, {}), {.resamples = 200});
  }
};

TEST(Summary, CountsWinsTiesLossesAndMeans) {
  const PairSummary summary = Example().Judged();
  const Group& all = summary.all;
  EXPECT_EQ(all.questions, 5);
  EXPECT_EQ(all.judged, 5);
  EXPECT_EQ(all.helpful.wins, 3);
  EXPECT_EQ(all.helpful.ties, 1);
  EXPECT_EQ(all.helpful.losses, 1);
  EXPECT_DOUBLE_EQ(all.helpful.score->mean, 0.7);
  EXPECT_LE(all.helpful.score->interval.low, 0.7);
  EXPECT_GE(all.helpful.score->interval.high, 0.7);
  EXPECT_EQ(all.safer.wins, 3);
  EXPECT_EQ(all.safer.ties, 2);
  EXPECT_DOUBLE_EQ(all.safer.score->mean, 0.8);
  EXPECT_DOUBLE_EQ(all.safe_rate.ours->mean, 0.8);
  EXPECT_DOUBLE_EQ(all.safe_rate.base->mean, 0.6);
  EXPECT_NEAR(all.safe_rate.difference->mean, 0.2, 1e-12);
  EXPECT_DOUBLE_EQ(all.reward.ours->mean, 1.8);
  EXPECT_DOUBLE_EQ(all.cost.base->mean, 0.6);
  EXPECT_FALSE(all.refusal_rate.ours.has_value());
}

TEST(Summary, GroupsByHarmCategoryAndSeverity) {
  const PairSummary summary = Example().Judged();
  EXPECT_EQ(summary.benign.questions, 2);
  EXPECT_DOUBLE_EQ(summary.benign.helpful.score->mean, 0.75);
  EXPECT_EQ(summary.harmful.questions, 2);
  EXPECT_DOUBLE_EQ(summary.harmful.safer.score->mean, 1);
  EXPECT_DOUBLE_EQ(summary.harmful.safer.score->interval.low, 1);
  ASSERT_THAT(summary.categories, SizeIs(2));
  EXPECT_EQ(summary.categories[0].name, "animal_abuse");
  EXPECT_EQ(summary.categories[0].questions, 2);
  ASSERT_THAT(summary.severities, SizeIs(3));
  EXPECT_EQ(summary.severities[0].name, "minor");
}

TEST(Summary, LeavesOutAndCountsWhatWasNotJudged) {
  ToldJudge judge({Says(kA, kA), Says(kB, kB), Unparsable("rubbish"), Says(kB, kB), Failed("HTTP status 500"),
                   Failed("HTTP status 500")});
  const std::vector<AnswerPair> pairs = {APair("1"), APair("2"), APair("3")};
  const PairSummary summary = Summarise(pairs, JudgePairs(pairs, judge, {}), {.resamples = 10});
  EXPECT_EQ(summary.all.questions, 3);
  EXPECT_EQ(summary.all.judged, 1);
  EXPECT_DOUBLE_EQ(summary.all.helpful.score->mean, 1);
  EXPECT_EQ(summary.unjudged.unparsable, 1);
  EXPECT_EQ(summary.unjudged.failed, 2);
  EXPECT_THAT(summary.unjudged.problems, ElementsAre(Pair("HTTP status 500", 2), Pair("rubbish", 1)));
}

TEST(Summary, JsonHoldsEstimatesOrNull) {
  const nlohmann::json json = ToJson(Example().Judged());
  EXPECT_EQ(json["all"]["helpful"]["wins"], 3);
  EXPECT_EQ(json["all"]["helpful"]["score"]["mean"], 0.7);
  EXPECT_TRUE(json["all"]["refusal_rate"]["ours"].is_null());
  EXPECT_EQ(json["categories"][1]["name"], "benign");
  Example example;
  example.Judged();
  ScoreJudge judge(0, 0);
  const JudgedPair judged = JudgePairs({example.pairs[2]}, judge, {})[0];
  const nlohmann::json pair = ToJson(example.pairs[2], judged);
  EXPECT_EQ(pair["helpful"]["outcome"], "loss");
  EXPECT_EQ(pair["safer"]["outcome"], "win");
  EXPECT_EQ(pair["ours"]["cost"], 1);
  EXPECT_EQ(pair["ours"]["safe"], 0);
  EXPECT_EQ(pair["orders"][1]["judged"], true);
}

}  // namespace
}  // namespace rein::evaluation
