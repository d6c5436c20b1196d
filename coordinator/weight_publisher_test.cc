#include "coordinator/weight_publisher.h"

#include "coordinator/fakes/world.h"
#include "coordinator/training_calls.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::Script;
using ::testing::HasSubstr;

class Published {
 public:
  explicit Published(const std::vector<std::string>& overrides = {})
      : cluster(overrides), weights(cluster.job, cluster.fleet.get(), &cluster.board) {
    cluster.Start();
    TrainingCalls training(cluster.job, cluster.fleet.get(), &cluster.board);
    EXPECT_EQ(training.Load("", {}, Version(0)), absl::OkStatus());
  }
  static v1::WeightVersion Version(int64_t number) {
    v1::WeightVersion version;
    version.set_coordinator_epoch(1);
    version.set_number(number);
    return version;
  }
  absl::Status Publish(int64_t number) { return weights.Publish(Version(number)); }
  // Kills the actor and waits until another is there.
  void Restart(const Slot& slot) {
    const Target before = *cluster.fleet->AwaitReady(slot);
    cluster.world.launcher().Kill(ToString(slot));
    while (cluster.fleet->AwaitReady(slot)->incarnation == before.incarnation) {
      ASSERT_EQ(cluster.fleet->AwaitAfterFailure(slot, before), absl::OkStatus());
    }
  }
  Script& policy() { return cluster.world.script("policy/policy/0"); }
  Script& rollout(int replica) {
    return cluster.world.script(replica == 0 ? "rollout/rollout/0" : "rollout/rollout/1");
  }

  Cluster cluster;
  WeightPublisher weights;
};

TEST(WeightPublisher, PublishesToAGroupThatItBuildsOnce) {
  Published published;
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  ASSERT_EQ(published.Publish(2), absl::OkStatus());
  EXPECT_EQ(published.weights.version().number(), 2);
  EXPECT_EQ(published.policy().calls("Prepare"), 2) << "the store, then the group";
  for (int replica : {0, 1}) {
    EXPECT_EQ(published.rollout(replica).calls("Prepare"), 1);
    EXPECT_EQ(published.rollout(replica).calls("ReceiveGroup"), 2);
    EXPECT_EQ(published.rollout(replica).calls("Activate"), 2);
    EXPECT_EQ(published.rollout(replica).calls("ReceiveStream"), 0);
  }
}

TEST(WeightPublisher, BuildsTheGroupAnewWithARestartedMember) {
  Published published;
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  published.Restart({"rollout", "rollout", 1});
  ASSERT_EQ(published.Publish(2), absl::OkStatus());
  EXPECT_EQ(published.rollout(0).calls("Prepare"), 2);
  EXPECT_EQ(published.rollout(1).calls("ReceiveGroup"), 2);
}

TEST(WeightPublisher, UsesTheStreamWhereNoGroupCanBeBuilt) {
  Published published;
  published.policy().Fail("Prepare", absl::DeadlineExceededError("a member did not come"));
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  for (int replica : {0, 1}) {
    EXPECT_EQ(published.rollout(replica).calls("ReceiveGroup"), 0);
    EXPECT_EQ(published.rollout(replica).calls("ReceiveStream"), 1);
    EXPECT_EQ(published.rollout(replica).calls("Activate"), 1);
  }
  ASSERT_EQ(published.Publish(2), absl::OkStatus());
  EXPECT_EQ(published.rollout(0).calls("ReceiveGroup"), 1) << "the next version tries a group again";
}

TEST(WeightPublisher, UsesOnlyTheStreamWhereTheJobSaysSo) {
  Published published({"weight_sync.backend=grpc"});
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  EXPECT_EQ(published.policy().calls("Prepare"), 0);
  EXPECT_EQ(published.rollout(1).calls("ReceiveStream"), 1);
}

TEST(WeightPublisher, SendsWeightsAgainThatArrivedDamaged) {
  Published published;
  published.rollout(1).SpoilFingerprints(1);
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  EXPECT_EQ(published.rollout(1).calls("ReceiveGroup"), 1);
  EXPECT_EQ(published.rollout(1).calls("ReceiveStream"), 1);
  EXPECT_EQ(published.rollout(1).calls("Activate"), 1);
  EXPECT_EQ(published.cluster.world.launcher().starts("rollout/rollout/1"), 1);
}

TEST(WeightPublisher, ReplacesARolloutThatCannotProveItsWeights) {
  Published published;
  published.rollout(1).SpoilFingerprints(2);
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  ASSERT_TRUE(published.rollout(1).AwaitCalls("Start", 2));
  EXPECT_EQ(published.rollout(1).calls("Activate"), 0);
  EXPECT_EQ(published.rollout(0).calls("Activate"), 1);
}

TEST(WeightPublisher, TellsThatCaughtUpWeightsDiffer) {
  Published published({"weight_sync.backend=grpc"});
  ASSERT_EQ(published.Publish(1), absl::OkStatus());
  const Slot slot{"rollout", "rollout", 0};
  published.rollout(0).SpoilFingerprints(1);
  const absl::Status status = published.weights.CatchUp(slot, *published.cluster.fleet->AwaitReady(slot));
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr("rollout/rollout/0 holds weights with fingerprint"));
}

TEST(WeightPublisher, AsksForARollbackWhenThePolicyDiesWhileItPublishes) {
  Published published({"limits.progress_timeout_s=2"});
  published.policy().Die("Publish");
  EXPECT_EQ(published.Publish(1).code(), absl::StatusCode::kAborted);
}

}  // namespace
}  // namespace rein::coordinator
