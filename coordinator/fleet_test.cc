#include "coordinator/fleet.h"

#include "coordinator/fakes/services.h"
#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::Script;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

const Slot kReward{"reward", "reward", 0}, kCost{"cost", "cost", 0}, kPolicy{"policy", "policy", 0};

bool Stays() { return false; }

// Who fills the slot after `target` no longer does.
Target AwaitReplacement(Fleet& fleet, const Slot& slot, const Target& target) {
  Target now = target;
  while (now.incarnation == target.incarnation) {
    EXPECT_EQ(fleet.AwaitAfterFailure(slot, target), absl::OkStatus());
    const auto ready = fleet.AwaitReady(slot);
    if (!ready.ok()) return target;
    now = *ready;
  }
  return now;
}

absl::Status AwaitInterruption(Fleet& fleet, const Slot& slot, const Target& target) {
  absl::Status status;
  while (status.ok()) status = fleet.AwaitAfterFailure(slot, target);
  return status;
}

ScorerChoice OtherCost(const Cluster& cluster) {
  return {.role = "cost", .name = "cost", .model = cluster.world.other_model(), .generation = 1};
}

TEST(Fleet, BringsUpEveryActorOfTheJob) {
  Cluster cluster;
  cluster.Start();
  EXPECT_THAT(
      cluster.world.launcher().running(),
      ElementsAre("cost/cost/0", "critic/cost/0", "critic/reward/0", "policy/policy/0",
                  "reference/reference/0", "reward/reward/0", "rollout/rollout/0", "rollout/rollout/1"));
  EXPECT_EQ(cluster.fleet->Ready("rollout").size(), 2u);
  EXPECT_EQ(cluster.fleet->Slots("critic", "cost").size(), 1u);
  EXPECT_EQ(cluster.fleet->Interruption(), absl::OkStatus());
  EXPECT_EQ(cluster.fleet->AwaitReady({"guard", "guard", 0}).status().code(), absl::StatusCode::kNotFound);
}

TEST(Fleet, BringsBackALostActor) {
  Cluster cluster;
  cluster.Start();
  const Target before = *cluster.fleet->AwaitReady(kReward);
  cluster.world.launcher().Kill("reward/reward/0");
  const Target after = AwaitReplacement(*cluster.fleet, kReward, before);
  EXPECT_NE(after.peer.address(), before.peer.address());
  EXPECT_EQ(cluster.fleet->Interruption(), absl::OkStatus());
  EXPECT_EQ(cluster.fleet->restarts(), 1);
}

TEST(Fleet, ReplacesAReportedActorAtOnce) {
  Cluster cluster({"limits.max_restarts=1"});
  cluster.Start();
  const Target before = *cluster.fleet->AwaitReady(kReward);
  cluster.fleet->ReportLost(kReward, before, "it answers rubbish");
  AwaitReplacement(*cluster.fleet, kReward, before);
  EXPECT_EQ(cluster.world.launcher().starts("reward/reward/0"), 2);
}

TEST(Fleet, IgnoresAReportAboutAnEarlierIncarnation) {
  Cluster cluster;
  cluster.Start();
  Target target = *cluster.fleet->AwaitReady(kReward);
  ++target.incarnation;
  cluster.fleet->ReportLost(kReward, target, "late news");
  EXPECT_EQ(cluster.fleet->AwaitAfterFailure(kReward, *cluster.fleet->AwaitReady(kReward)), absl::OkStatus());
  EXPECT_EQ(cluster.world.launcher().starts("reward/reward/0"), 1);
}

TEST(Fleet, ReplacesASilentActor) {
  Cluster cluster({"limits.suspect_after_s=0.5", "limits.dead_after_s=1"});
  cluster.Start();
  const Target before = *cluster.fleet->AwaitReady(kReward);
  Script& script = cluster.world.script("reward/reward/0");
  script.SetMute(true);
  ASSERT_TRUE(script.AwaitCalls("Start", 2));
  script.SetMute(false);
  AwaitReplacement(*cluster.fleet, kReward, before);
}

TEST(Fleet, SpendsOneRestartOnADeathDuringConfiguration) {
  Cluster cluster({"limits.max_restarts=1"});
  cluster.world.script("reward/reward/0").Die("Configure");
  cluster.Start();
  EXPECT_EQ(cluster.world.launcher().starts("reward/reward/0"), 2);
}

TEST(Fleet, AsksForARollbackWhenTrainableStateIsLost) {
  for (const Slot& slot : {kPolicy, Slot{"critic", "cost", 0}}) {
    Cluster cluster;
    cluster.Start();
    const Target before = *cluster.fleet->AwaitReady(slot);
    cluster.world.launcher().Kill(ToString(slot));
    const absl::Status status = AwaitInterruption(*cluster.fleet, slot, before);
    EXPECT_EQ(status.code(), absl::StatusCode::kAborted);
    EXPECT_THAT(status.message(), AllOf(HasSubstr(ToString(slot)), HasSubstr("last commit")));
    EXPECT_EQ(cluster.fleet->AwaitReady(kReward).status(), status) << "nobody may wait in vain";
    cluster.fleet->ForgetTrainableLost();
    EXPECT_EQ(cluster.fleet->AwaitAllReady(), absl::OkStatus());
  }
}

TEST(Fleet, GivesUpOnABadModelAndNamesIt) {
  Cluster cluster;
  cluster.world.script("cost/cost/0")
      .Fail("Configure", absl::InvalidArgumentError("no score head"), Script::kAlways);
  cluster.fleet->Start(ChoicesOf(cluster.job));
  const absl::Status status = cluster.fleet->AwaitAllReady();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("cost/cost/0"), HasSubstr("no score head"), HasSubstr("logs/cost-cost-0.log")));
  EXPECT_EQ(cluster.world.launcher().starts("cost/cost/0"), 1);
}

TEST(Fleet, GivesUpAfterTooManyRestarts) {
  Cluster cluster({"limits.max_restarts=1"});
  cluster.world.script("cost/cost/0").Fail("Configure", absl::UnavailableError("not yet"), Script::kAlways);
  cluster.fleet->Start(ChoicesOf(cluster.job));
  const absl::Status status = cluster.fleet->AwaitAllReady();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("cost/cost/0"));
  EXPECT_EQ(cluster.world.launcher().starts("cost/cost/0"), 2);
}

TEST(Fleet, CountsRestartsAnewAfterAStep) {
  Cluster cluster({"limits.max_restarts=1"});
  cluster.Start();
  for (int i = 0; i < 2; ++i) {
    const Target before = *cluster.fleet->AwaitReady(kReward);
    cluster.world.launcher().Kill("reward/reward/0");
    AwaitReplacement(*cluster.fleet, kReward, before);
    cluster.fleet->Forgive();
  }
  const Target before = *cluster.fleet->AwaitReady(kReward);
  cluster.world.launcher().Kill("reward/reward/0");
  const Target last = AwaitReplacement(*cluster.fleet, kReward, before);
  cluster.world.launcher().Kill("reward/reward/0");
  EXPECT_EQ(AwaitInterruption(*cluster.fleet, kReward, last).code(), absl::StatusCode::kUnavailable);
}

TEST(Fleet, TellsThatTheLauncherCannotStartAnActor) {
  Cluster cluster({"limits.max_restarts=0"});
  cluster.world.script("cost/cost/0").Fail("Start", absl::UnavailableError("no such program"));
  cluster.fleet->Start(ChoicesOf(cluster.job));
  EXPECT_THAT(cluster.fleet->AwaitAllReady().message(), HasSubstr("no such program"));
}

TEST(Fleet, EndsProcessesThatHaveNoPlaceInTheJob) {
  Cluster cluster;
  v1::ActorAddress candidate;
  candidate.set_role("cost");
  candidate.set_name("cost");
  candidate.set_replica(7);
  ASSERT_TRUE(cluster.launcher->Start(candidate).ok());
  cluster.Start();
  EXPECT_THAT(cluster.world.launcher().running(), Not(Contains("cost/cost/7")));
}

TEST(Fleet, IsNotInterruptedByACandidateThatFails) {
  Cluster cluster;
  cluster.Start();
  cluster.world.script("cost/cost/1").Fail("Configure", absl::DataLossError("torn file"), Script::kAlways);
  cluster.fleet->AddCandidates(OtherCost(cluster));
  const auto targets = cluster.fleet->AwaitCandidates(absl::Now() + fakes::kPatience, Stays);
  EXPECT_EQ(targets.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(cluster.fleet->Interruption(), absl::OkStatus());
  cluster.fleet->DropCandidates();
  EXPECT_THAT(cluster.world.launcher().running(),
              AllOf(Contains("cost/cost/0"), Not(Contains("cost/cost/1"))));
}

TEST(Fleet, WaitsForCandidatesOnlyAsLongAsSomebodyWantsThem) {
  Cluster cluster;
  cluster.Start();
  Script& script = cluster.world.script("cost/cost/1");
  script.Hold("Configure");
  cluster.fleet->AddCandidates(OtherCost(cluster));
  EXPECT_EQ(
      cluster.fleet->AwaitCandidates(absl::Now() + fakes::kPatience, [] { return true; }).status().code(),
      absl::StatusCode::kCancelled);
  EXPECT_EQ(cluster.fleet->AwaitCandidates(absl::Now(), Stays).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  script.Release("Configure");
}

TEST(Fleet, PutsAcceptedCandidatesInThePlaceOfTheOld) {
  Cluster cluster;
  cluster.Start();
  cluster.fleet->AddCandidates(OtherCost(cluster));
  ASSERT_TRUE(cluster.fleet->AwaitCandidates(absl::Now() + fakes::kPatience, Stays).ok());
  EXPECT_NE(cluster.fleet->AwaitReady(kCost)->model.path(), cluster.world.other_model());
  cluster.fleet->AcceptCandidates(OtherCost(cluster));
  EXPECT_EQ(cluster.fleet->AwaitReady(kCost)->model.path(), cluster.world.other_model());
  EXPECT_THAT(cluster.world.launcher().running(),
              AllOf(Contains("cost/cost/1"), Not(Contains("cost/cost/0"))));
  EXPECT_EQ(cluster.fleet->scorers().back().generation, 1);
  EXPECT_EQ(cluster.fleet->restarts(), 0) << "who is replaced is not lost";
}

TEST(Fleet, TakesAnExternalScorerThatRegistersWithNobody) {
  Cluster cluster;
  cluster.Start();
  Script script;
  fakes::WeightBoard weights;
  fakes::Life life({}, "job-of-fakes", 0, &script, &weights, [] {});
  const auto service = fakes::MakeScorerService(&life);
  const auto server = *transport::Server::Start({}, {service.get()});
  const ScorerChoice choice{.role = "cost", .name = "cost", .address = server->address(), .generation = 1};

  cluster.fleet->AddCandidates(choice);
  const auto nameless = cluster.fleet->AwaitCandidates(absl::Now() + fakes::kPatience, Stays);
  EXPECT_EQ(nameless.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(nameless.status().message(), HasSubstr("without a digest"));
  cluster.fleet->DropCandidates();

  script.SetDigest("external-1");
  cluster.fleet->AddCandidates(choice);
  const auto targets = cluster.fleet->AwaitCandidates(absl::Now() + fakes::kPatience, Stays);
  ASSERT_TRUE(targets.ok()) << targets.status();
  EXPECT_EQ(targets->at(0).scorer.digest(), "external-1");
  EXPECT_EQ(targets->at(0).incarnation, 0u);
}

TEST(LauncherClient, TakesARunningActorForStartedAndAnEndedOneForStopped) {
  Cluster cluster;
  v1::ActorAddress address;
  address.set_role("reward");
  address.set_name("reward");
  EXPECT_EQ(cluster.launcher->Stop(address, absl::ZeroDuration()), absl::OkStatus());
  const auto pid = cluster.launcher->Start(address);
  ASSERT_TRUE(pid.ok()) << pid.status();
  EXPECT_GT(*pid, 0);
  EXPECT_EQ(cluster.launcher->Start(address).value(), 0);
  EXPECT_EQ(cluster.launcher->Stop(address, absl::ZeroDuration()), absl::OkStatus());
  const auto actors = cluster.launcher->List();
  ASSERT_TRUE(actors.ok()) << actors.status();
  EXPECT_EQ(actors->at(0).pid(), *pid);
  EXPECT_FALSE(actors->at(0).running());
}

TEST(ScorerChoices, SurviveJson) {
  const std::vector<ScorerChoice> choices = {
      {.role = "reward", .name = "reward", .model = "m"},
      {.role = "cost", .name = "harm", .address = "127.0.0.1:9", .generation = 3}};
  const auto read = ChoicesFromJson(ToJson(choices));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ(read->at(0).model, "m");
  EXPECT_EQ(read->at(1).address, "127.0.0.1:9");
  EXPECT_EQ(read->at(1).generation, 3);
}

TEST(ScorerChoices, RefuseOtherJson) {
  for (const char* text : {"null", "{}", "[1]", "\"x\"", "[{\"role\": 1}]", "[{\"generation\": \"x\"}]"}) {
    EXPECT_EQ(ChoicesFromJson(nlohmann::json::parse(text)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

}  // namespace
}  // namespace rein::coordinator
