#include "coordinator/training_calls.h"

#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::Script;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::SizeIs;

v1::WeightVersion Version(int64_t number, uint64_t epoch = 1) {
  v1::WeightVersion version;
  version.set_coordinator_epoch(epoch);
  version.set_number(number);
  return version;
}

// Two samples of three tokens, one constraint.
class Trained {
 public:
  explicit Trained(const std::vector<std::string>& overrides = {})
      : cluster(overrides), calls(cluster.job, cluster.fleet.get(), &cluster.board), rows_(2) {
    for (ScoredRow& row : rows_) {
      row.sample.set_sample_id("p/0");
      row.reward_values = {1, 2, 3};
      row.cost_values = {{4, 5, 6}};
      experience_.advantages.push_back({1, 0, -1});
      experience_.reward_returns.push_back({1, 1, 1});
      experience_.token_weights.push_back(0.5);
    }
    experience_.cost_returns = {{{2, 2, 2}, {3, 3, 3}}};
    cluster.Start();
    EXPECT_EQ(calls.Load("", {}, Version(0)), absl::OkStatus());
  }
  absl::StatusOr<TrainOutcome> Train(int64_t number) {
    return calls.Train(rows_, experience_, Version(number));
  }
  std::filesystem::path Folder() {
    const std::filesystem::path folder = cluster.world.run_dir() / "step-1";
    std::filesystem::create_directories(folder);
    return folder;
  }
  Script& policy() { return cluster.world.script("policy/policy/0"); }
  Script& critic() { return cluster.world.script("critic/cost/0"); }

  Cluster cluster;
  TrainingCalls calls;

 private:
  std::vector<ScoredRow> rows_;
  Experience experience_;
};

TEST(TrainingCalls, TrainPolicyAndCriticsAndBringTheirNumbers) {
  Trained trained;
  for (int64_t step : {1, 2}) {
    const auto outcome = trained.Train(step);
    ASSERT_TRUE(outcome.ok()) << outcome.status();
    EXPECT_EQ(outcome->policy.at("logprob_gap_mean"), 0.001);
    EXPECT_THAT(outcome->critics, ElementsAre(Key("cost"), Key("reward")));
    EXPECT_NE(outcome->critics.at("cost").at("loss"), outcome->critics.at("reward").at("loss"));
  }
  EXPECT_THAT(trained.policy().trained(), SizeIs(2));
  EXPECT_THAT(trained.critic().trained(), SizeIs(2));
}

TEST(TrainingCalls, AttachToTheStepAfterABrokenStreamAndNeverTrainTwice) {
  Trained trained;
  trained.policy().Fail("Trained", absl::UnavailableError("connection reset"), 2);
  trained.critic().Fail("Train", absl::UnavailableError("connection reset"));
  const auto outcome = trained.Train(1);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(outcome->policy.at("logprob_gap_mean"), 0.001);
  EXPECT_EQ(trained.policy().calls("Train"), 3);
  EXPECT_THAT(trained.policy().trained(), SizeIs(1));
  EXPECT_THAT(trained.critic().trained(), SizeIs(1));
}

TEST(TrainingCalls, AskForARollbackWhenStateDiesWithItsHolder) {
  for (const std::string who : {"policy/policy/0", "critic/cost/0"}) {
    Trained trained;
    trained.cluster.world.script(who).Die("Train");
    const absl::Status status = trained.Train(1).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(status.message(), HasSubstr(who));
  }
}

TEST(TrainingCalls, NameWhoseLossIsNotFinite) {
  Trained trained;
  trained.critic().Fail("Train", absl::DataLossError("the loss is nan at sample 17.0/2"));
  const absl::Status status = trained.Train(1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("critic/cost/0"), HasSubstr("17.0/2")));
}

TEST(TrainingCalls, NameWhoMakesNoProgress) {
  Trained trained({"limits.progress_timeout_s=1"});
  trained.policy().Hold("Train");
  const absl::Status status = trained.Train(1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("policy/policy/0"), HasSubstr("progress_timeout_s")));
  trained.policy().Release("Train");
}

TEST(TrainingCalls, SaveAndLoadEverybodysOwnFiles) {
  Trained trained;
  ASSERT_TRUE(trained.Train(1).ok());
  const auto files = trained.calls.Save(trained.Folder(), 1);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, SizeIs(6)) << "policy and two critics, two files each";
  EXPECT_EQ(trained.calls.Load(trained.Folder(), *files, Version(1, 2)), absl::OkStatus());
  EXPECT_THAT(trained.policy().loaded(), ElementsAre("", EndsWith("step-1")));
}

TEST(TrainingCalls, TellThatTheDiskIsFull) {
  Trained trained;
  trained.critic().Fail("Save", absl::ResourceExhaustedError("no space left on device"));
  const absl::Status status = trained.calls.Save(trained.Folder(), 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("critic/cost/0"), HasSubstr("no space")));
}

TEST(TrainingCalls, SaveAgainAfterABrokenConnection) {
  Trained trained;
  trained.policy().Fail("Saved", absl::UnavailableError("connection reset"));
  const auto files = trained.calls.Save(trained.Folder(), 1);
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_THAT(*files, SizeIs(6));
  EXPECT_EQ(trained.policy().calls("Save"), 2);
}

TEST(TrainingCalls, NameWhoseStateDoesNotFit) {
  Trained trained;
  trained.policy().Fail("Load", absl::DataLossError("model.safetensors: checksum differs"));
  const absl::Status status = trained.calls.Load("", {}, Version(0));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("policy/policy/0"), HasSubstr("model.safetensors")));
}

}  // namespace
}  // namespace rein::coordinator
