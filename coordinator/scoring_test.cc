#include "coordinator/scoring.h"

#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::Script;
using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;
using Kind = Column::Kind;

const Column kReward{Kind::kReward, ""}, kCost{Kind::kCost, "cost"}, kReference{Kind::kReference, ""};

// Scores eight samples, "p/0" to "p/7", in batches of four.
class Scored {
 public:
  explicit Scored(const std::vector<std::string>& overrides = {}, size_t question_bytes = 10)
      : cluster(overrides), question_(question_bytes, 'x') {
    cluster.Start();
  }

  absl::Status Run(const std::vector<Column>& columns, const std::vector<size_t>& order) {
    Begin(columns, order);
    return Finish();
  }
  absl::Status Run(const std::vector<Column>& columns) { return Run(columns, {0, 1, 2, 3, 4, 5, 6, 7}); }

  void Begin(const std::vector<Column>& columns, const std::vector<size_t>& order) {
    std::vector<std::string> ids;
    for (size_t row = 0; row < order.size(); ++row) ids.push_back(absl::StrCat("p/", row));
    table = std::make_unique<StepTable>(ids, columns.size());
    scoring_ = std::make_unique<Scoring>(cluster.job, cluster.fleet.get(), &cluster.board, table.get(),
                                         columns, 1, nullptr);
    for (const size_t row : order) {
      v1::Sample sample;
      sample.set_sample_id(ids[row]);
      sample.set_question(question_);
      sample.set_answer(absl::StrCat("answer ", row));
      for (int i = 0; i < 3; ++i) sample.add_response_tokens(i);
      ASSERT_TRUE(table->AddSample(std::move(sample)).has_value());
      scoring_->Arrived(row);
    }
  }
  absl::Status Finish() {
    const absl::Status status = scoring_->Finish();
    scoring_.reset();
    return status;
  }
  Script& reward() { return cluster.world.script("reward/reward/0"); }
  Script& cost() { return cluster.world.script("cost/cost/0"); }

  Cluster cluster;
  std::unique_ptr<StepTable> table;

 private:
  const std::string question_;
  std::unique_ptr<Scoring> scoring_;
};

TEST(Scoring, FillsEveryColumnOfEveryRow) {
  Scored scored;
  ASSERT_EQ(scored.Run({kReference, kReward, kCost, {Kind::kValues, "cost"}}), absl::OkStatus());
  EXPECT_EQ(scored.table->incomplete(), 0u);
  const auto rows = scored.table->Take();
  EXPECT_THAT(rows[7].cells[0].values, SizeIs(3));
  EXPECT_THAT(rows[7].cells[1].values, SizeIs(1));
  EXPECT_NE(rows[7].cells[1].values, rows[6].cells[1].values);
  EXPECT_THAT(rows[7].cells[3].values, SizeIs(3));
  EXPECT_FALSE(rows[7].cells[2].digest.empty());
  EXPECT_THAT(scored.reward().asked(), AllOf(SizeIs(8), Each(Pair(::testing::_, 1))));
}

TEST(Scoring, SendsFixedRangesWhereTheJobIsDeterministic) {
  Scored scored({"deterministic=true"});
  ASSERT_EQ(scored.Run({kReward}, {7, 0, 3, 5, 1, 4, 6, 2}), absl::OkStatus());
  EXPECT_THAT(scored.reward().requests(), UnorderedElementsAre(ElementsAre("p/0", "p/1", "p/2", "p/3"),
                                                               ElementsAre("p/4", "p/5", "p/6", "p/7")));
}

TEST(Scoring, SendsWhatHasArrivedOtherwise) {
  Scored scored;
  ASSERT_EQ(scored.Run({kReward}, {5, 0, 3, 1, 4, 2}), absl::OkStatus());
  EXPECT_THAT(scored.reward().requests(),
              ElementsAre(ElementsAre("p/5", "p/0", "p/3", "p/1"), ElementsAre("p/4", "p/2")));
}

TEST(Scoring, AsksAgainForWhatIsNoNumber) {
  for (const auto how : {Script::Spoilt::kNaN, Script::Spoilt::kMissing, Script::Spoilt::kError}) {
    Scored scored;
    scored.reward().Spoil("p/1", how, 2);
    ASSERT_EQ(scored.Run({kReward}), absl::OkStatus());
    EXPECT_EQ(scored.reward().asked()["p/1"], 3);
    EXPECT_EQ(scored.reward().asked()["p/2"], 1);
    EXPECT_FALSE(scored.table->dropped(1));
    EXPECT_EQ(scored.table->incomplete(), 0u);
  }
}

TEST(Scoring, DropsASampleThatNeverGetsANumberAndSaysWhy) {
  Scored scored({"limits.score_attempts=3"});
  scored.cost().Spoil("p/1", Script::Spoilt::kNaN, Script::kAlways);
  scored.cost().Spoil("p/5", Script::Spoilt::kMissing, Script::kAlways);
  scored.cost().Spoil("p/6", Script::Spoilt::kError, Script::kAlways);
  ASSERT_EQ(scored.Run({kReward, kCost}), absl::OkStatus());
  EXPECT_EQ(scored.cost().asked()["p/1"], 3);
  EXPECT_EQ(scored.table->incomplete(), 0u);
  const auto rows = scored.table->Take();
  EXPECT_THAT(rows[1].drop_reason, AllOf(HasSubstr("cost/cost/0"), HasSubstr("nan, not a finite number")));
  EXPECT_THAT(rows[5].drop_reason, HasSubstr("not answered for this sample"));
  EXPECT_EQ(rows[6].drop_reason, "cost/cost/0: spoilt");
  EXPECT_EQ(rows[2].drop_reason, "");
}

const std::vector<std::string> kWithGuard = {"actors.4.role=guard", "actors.4.model=$0/base",
                                             "limits.score_attempts=2"};

TEST(Scoring, DropsWhatTheGuardFindsHarmful) {
  for (const bool minor : {true, false}) {
    std::vector<std::string> overrides = kWithGuard;
    if (minor) overrides.push_back("guard.drop_at=minor");
    Scored scored(overrides);
    ASSERT_EQ(scored.Run({kReward, {Kind::kGuard, ""}}), absl::OkStatus());
    int dropped = 0;
    const auto rows = scored.table->Take();
    for (size_t row = 0; row < rows.size(); ++row) {
      const bool severe = fakes::NumberOf(absl::StrCat("answer ", row), 0) > 0;
      dropped += severe ? 1 : 0;
      EXPECT_EQ(rows[row].drop_reason, !severe ? ""
                                               : absl::StrCat("the guard finds it severe (guard.drop_at: ",
                                                              minor ? "minor" : "severe", ")"));
    }
    EXPECT_THAT(dropped, AllOf(testing::Gt(0), testing::Lt(8)));
    for (const auto& row : rows) EXPECT_EQ(IsVerdictOfGuard(row.drop_reason), !row.drop_reason.empty());
  }
}

TEST(Scoring, NeverLetsThroughWhatTheGuardDidNotAnswer) {
  Scored scored(kWithGuard);
  for (int row = 0; row < 8; ++row) {
    scored.cluster.world.script("guard/guard/0")
        .Spoil(absl::StrCat("p/", row), Script::Spoilt::kMissing, Script::kAlways);
  }
  ASSERT_EQ(scored.Run({{Kind::kGuard, ""}}), absl::OkStatus());
  for (const auto& row : scored.table->Take())
    EXPECT_THAT(row.drop_reason, HasSubstr("not answered for this sample"));
}

TEST(Scoring, RefusesATokenColumnOfAnotherLength) {
  Scored scored({"limits.score_attempts=2"});
  scored.cluster.world.script("reference/reference/0")
      .Spoil("p/4", Script::Spoilt::kWrongLength, Script::kAlways);
  ASSERT_EQ(scored.Run({kReference}), absl::OkStatus());
  EXPECT_THAT(scored.table->Take()[4].drop_reason, HasSubstr("4 numbers, expected 3"));
}

// The reward drops the second batch while the cost still computes the first.
void DropSecondBatch(Scored& scored) {
  for (int row = 4; row < 8; ++row) {
    scored.reward().Spoil(absl::StrCat("p/", row), Script::Spoilt::kNaN, 1);
  }
  scored.cost().Hold("Score");
  scored.Begin({kReward, kCost}, {0, 1, 2, 3, 4, 5, 6, 7});
  while (!scored.table->dropped(7)) std::this_thread::yield();
  scored.cost().Release("Score");
  ASSERT_EQ(scored.Finish(), absl::OkStatus());
  EXPECT_EQ(scored.table->incomplete(), 0u);
}

TEST(Scoring, SkipsABatchThatAnotherColumnHasDropped) {
  Scored scored({"limits.score_attempts=1"});
  DropSecondBatch(scored);
  EXPECT_THAT(scored.cost().requests(), ElementsAre(ElementsAre("p/0", "p/1", "p/2", "p/3")));
}

TEST(Scoring, AsksTheSameOfEachColumnWhereTheJobIsDeterministicWhoeverDropsFirst) {
  Scored scored({"limits.score_attempts=1", "deterministic=true"});
  DropSecondBatch(scored);
  EXPECT_THAT(scored.cost().requests(),
              ElementsAre(ElementsAre("p/0", "p/1", "p/2", "p/3"), ElementsAre("p/4", "p/5", "p/6", "p/7")));
}

TEST(Scoring, AsksALateScorerAgain) {
  Scored scored({"limits.score_timeout_s=0.5"});
  scored.reward().Hold("Score");
  scored.Begin({kReward}, {0, 1, 2, 3, 4, 5, 6, 7});
  ASSERT_TRUE(scored.reward().AwaitCalls("Score", 2));
  scored.reward().Release("Score");
  ASSERT_EQ(scored.Finish(), absl::OkStatus());
  EXPECT_EQ(scored.table->incomplete(), 0u);
  EXPECT_FALSE(scored.table->dropped(0));
}

TEST(Scoring, SplitsWhatDoesNotFitOneMessage) {
  Scored scored({"limits.max_message_bytes=65536"}, /*question_bytes=*/20000);
  ASSERT_EQ(scored.Run({kReward}), absl::OkStatus());
  EXPECT_THAT(scored.reward().requests(), AllOf(SizeIs(4), Each(SizeIs(2))));
  EXPECT_EQ(scored.table->incomplete(), 0u);
}

TEST(Scoring, DropsASampleThatIsLargerThanAMessage) {
  Scored scored({"limits.max_message_bytes=65536", "limits.score_attempts=1"}, /*question_bytes=*/70000);
  ASSERT_EQ(scored.Run({kReward}, {0}), absl::OkStatus());
  EXPECT_THAT(scored.table->Take()[0].drop_reason, HasSubstr("limits.max_message_bytes"));
  EXPECT_THAT(scored.reward().requests(), SizeIs(0));
}

TEST(Scoring, RespectsTheLargestBatchOfAScorer) {
  Scored scored;
  scored.reward().SetMaxBatch(3);
  // Read when the scorer describes itself: it is started anew.
  const Slot slot{"reward", "reward", 0};
  const Target before = *scored.cluster.fleet->AwaitReady(slot);
  scored.cluster.world.launcher().Kill("reward/reward/0");
  while (scored.cluster.fleet->AwaitReady(slot)->incarnation == before.incarnation) {
    ASSERT_EQ(scored.cluster.fleet->AwaitAfterFailure(slot, before), absl::OkStatus());
  }
  ASSERT_EQ(scored.Run({kReward}), absl::OkStatus());
  EXPECT_THAT(scored.reward().requests(), ElementsAre(SizeIs(3), SizeIs(1), SizeIs(3), SizeIs(1)));
}

TEST(Scoring, SendsTheBatchOfADeadScorerAgainAndCountsNothingTwice) {
  Scored scored;
  scored.reward().Die("Score", 1);
  ASSERT_EQ(scored.Run({kReward}), absl::OkStatus());
  const auto asked = scored.reward().asked();
  EXPECT_EQ(asked.at("p/0"), 1);
  EXPECT_EQ(asked.at("p/4"), 2);
  EXPECT_EQ(scored.cluster.world.launcher().starts("reward/reward/0"), 2);
  const auto rows = scored.table->Take();
  ASSERT_EQ(rows.size(), 8u);
  for (const auto& row : rows) EXPECT_THAT(row.cells[0].values, SizeIs(1));
}

TEST(Scoring, RefusesAnotherScorerWithinOneStep) {
  Scored scored;
  scored.reward().Hold("Start");
  scored.reward().Die("Score", 1);
  scored.Begin({kReward}, {0, 1, 2, 3, 4, 5, 6, 7});
  ASSERT_TRUE(scored.reward().AwaitCalls("Score", 2));
  scored.reward().SetDigest("another");
  scored.reward().Release("Start");
  const absl::Status status = scored.Finish();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("'another'"), HasSubstr("rein swap")));
}

TEST(Scoring, EndsWithTheFailureOfTheFleet) {
  Scored scored({"limits.max_restarts=0"});
  scored.reward().Die("Score");
  const absl::Status status = scored.Run({kReward});
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("reward/reward/0"));
}

}  // namespace
}  // namespace rein::coordinator
