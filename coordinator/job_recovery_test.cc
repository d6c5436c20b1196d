// Whole jobs with fake actors, in which something breaks. Every number of a fake follows from its weights, so
// a run that has lost nothing and counted nothing twice shows the same path as an undisturbed one.
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "coordinator/fakes/run_reader.h"
#include "coordinator/fakes/world.h"
#include "coordinator/job.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::RunReader;
using fakes::Script;
using fakes::World;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

absl::Status RunToEnd(const JobOptions& options) {
  auto job = Job::Open(options);
  if (!job.ok()) return job.status();
  return (*job)->Run();
}

struct Trace {
  std::vector<nlohmann::json> path;
  std::vector<std::string> sample_ids;
};

Trace TraceOf(const World& world) {
  const RunReader run(world.run_dir());
  return {run.Path(), run.SampleIds()};
}

const Trace& Undisturbed() {
  static const Trace trace = [] {
    World world;
    EXPECT_EQ(RunToEnd(world.options()), absl::OkStatus());
    return TraceOf(world);
  }();
  return trace;
}

void ExpectAsUndisturbed(const World& world) {
  EXPECT_EQ(RunReader(world.run_dir()).state(), "finished");
  EXPECT_EQ(TraceOf(world).path, Undisturbed().path);
  EXPECT_EQ(TraceOf(world).sample_ids, Undisturbed().sample_ids);
}

std::map<std::string, int64_t> States(const World& world) {
  return (*Ledger::Open(world.run_dir() / "ledger.sqlite"))->CountStates().value();
}

TEST(JobRecovery, GoesBackToTheLastCommitWhenThePolicyDies) {
  World world;
  world.script("policy/policy/0").Die("Train", 3);  // in step 4; step 2 is committed
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
  EXPECT_THAT(world.script("policy/policy/0").loaded(), ElementsAre("", EndsWith("step-2")));
  EXPECT_EQ(States(world), (std::map<std::string, int64_t>{{"abandoned", 16}, {"consumed", 48}}));
}

TEST(JobRecovery, GoesBackToTheStartBeforeTheFirstCommit) {
  World world;
  world.script("critic/cost/0").Die("Train");
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
  EXPECT_THAT(world.script("critic/cost/0").loaded(), ElementsAre("", ""));
}

TEST(JobRecovery, GoesBackTwice) {
  World world;
  world.script("policy/policy/0").Die("Train", 2);
  world.script("critic/reward/0").Die("Train", 5);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
  EXPECT_EQ(States(world)["consumed"], 48);
}

TEST(JobRecovery, SurvivesAPolicyThatDiesWhileItSavesLoadsAndPublishes) {
  for (const char* method : {"Save", "Saved", "Load", "Publish", "Trained"}) {
    World world({"limits.progress_timeout_s=2"});
    world.script("policy/policy/0").Die(method);
    EXPECT_EQ(RunToEnd(world.options()), absl::OkStatus()) << method;
    ExpectAsUndisturbed(world);
  }
}

TEST(JobRecovery, GoesOnWithoutARollbackWhenStatelessActorsDie) {
  World world;
  world.script("rollout/rollout/0").Die("Sample", 9);
  world.script("rollout/rollout/1").Die("Activate", 2);
  world.script("reward/reward/0").Die("Score", 4);
  world.script("reference/reference/0").Die("LogProbs", 6);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
  EXPECT_EQ(States(world), (std::map<std::string, int64_t>{{"consumed", 48}}));
  for (const char* actor : {"rollout/rollout/0", "rollout/rollout/1", "reward/reward/0"}) {
    EXPECT_EQ(world.launcher().starts(actor), 2) << actor;
  }
  EXPECT_EQ(world.launcher().starts("policy/policy/0"), 1);
}

TEST(JobRecovery, ScoresAgainWhatWasNoNumber) {
  World world;
  world.script("cost/cost/0").Spoil(Undisturbed().sample_ids[5], Script::Spoilt::kNaN, 2);
  world.script("reward/reward/0").Spoil(Undisturbed().sample_ids[20], Script::Spoilt::kMissing, 1);
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
}

TEST(JobRecovery, GoesOnFromTheLastCommitAfterAFailure) {
  World world;
  Script& policy = world.script("policy/policy/0");
  policy.Fail("Trained", absl::DataLossError("the gradient is not finite"), 1);
  EXPECT_EQ(RunToEnd(world.options()).code(), absl::StatusCode::kDataLoss);
  const RunReader run(world.run_dir());
  EXPECT_EQ(run.state(), "failed");
  EXPECT_THAT(run.Json("outcome.json")["error"].get<std::string>(),
              AllOf(HasSubstr("policy/policy/0"), HasSubstr("not finite")));
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
}

TEST(JobRecovery, CommitsLaterWhenTheDiskWasFull) {
  World world({"checkpoint.keep_newest=10"});
  world.script("policy/policy/0").Fail("Save", absl::ResourceExhaustedError("no space left"));
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
  const RunReader run(world.run_dir());
  EXPECT_FALSE(run.Has("checkpoints/step-2"));
  EXPECT_FALSE(run.Has("checkpoints/step-2.partial"));
  EXPECT_TRUE(run.Has("checkpoints/step-3"));
  EXPECT_TRUE(run.Has("checkpoints/step-4"));
}

TEST(JobRecovery, FailsWhenTheLastCommitFindsTheDiskFullAndRecoversFromTheOneBefore) {
  World world({"checkpoint.every=4"});
  Script& critic = world.script("critic/cost/0");
  critic.Hold("Save");
  std::thread fill([&] {
    EXPECT_TRUE(critic.AwaitCalls("Save", 1));
    critic.Release("Save");
    EXPECT_TRUE(critic.AwaitCalls("Train", 5));
    critic.Fail("Save", absl::ResourceExhaustedError("no space left"));
  });
  const absl::Status status = RunToEnd(world.options());
  fill.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(status.message(), HasSubstr("no space left"));
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  ExpectAsUndisturbed(world);
}

TEST(JobRecovery, GoesOnFromTheCheckpointBeforeADamagedOne) {
  World world;
  JobOptions shorter = world.options();
  shorter.job.set_steps(4);
  ASSERT_EQ(RunToEnd(shorter), absl::OkStatus());
  ASSERT_EQ(
      WriteFileAtomically(world.run_dir() / "checkpoints/step-4/policy-policy/model/weights.txt", "12345"),
      absl::OkStatus());
  ASSERT_EQ(RunToEnd(world.options()), absl::OkStatus());
  EXPECT_THAT(world.script("policy/policy/0").loaded(), ElementsAre("", EndsWith("step-2")));
  EXPECT_TRUE(RunReader(world.run_dir()).Has("checkpoints/step-4.damaged"));
  ExpectAsUndisturbed(world);
}

TEST(JobRecovery, GivesUpAfterTooManyDeaths) {
  World world({"limits.max_restarts=0"});
  world.script("policy/policy/0").Die("Train");
  const absl::Status status = RunToEnd(world.options());
  EXPECT_THAT(status.message(), HasSubstr("policy/policy/0"));
  EXPECT_EQ(RunReader(world.run_dir()).state(), "failed");
}

TEST(JobRecovery, DoesTheSameAgainWhereTheJobIsDeterministic) {
  World first({"deterministic=true"}), second({"deterministic=true"});
  second.script("rollout/rollout/0").Die("Sample", 5);
  second.script("policy/policy/0").Die("Train", 4);
  ASSERT_EQ(RunToEnd(first.options()), absl::OkStatus());
  ASSERT_EQ(RunToEnd(second.options()), absl::OkStatus());
  EXPECT_EQ(TraceOf(first).path, TraceOf(second).path);
  EXPECT_EQ(TraceOf(first).sample_ids, TraceOf(second).sample_ids);
}

}  // namespace
}  // namespace rein::coordinator
