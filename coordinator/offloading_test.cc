#include "coordinator/offloading.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "coordinator/fakes/run_reader.h"
#include "coordinator/fakes/world.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::RunReader;
using fakes::World;
using transport::Stage;

constexpr const char* kPlaces[] = {"policy/policy/0",       "rollout/rollout/0", "rollout/rollout/1",
                                   "reference/reference/0", "reward/reward/0",   "cost/cost/0",
                                   "critic/reward/0",       "critic/cost/0"};

// The four entries of the job file; the actors that it implies take after them.
std::vector<std::string> OffloadAll() {
  std::vector<std::string> overrides;
  for (int i = 0; i < 4; ++i) overrides.push_back(absl::StrCat("actors.", i, ".offload=true"));
  return overrides;
}

std::set<std::string> Asked(World& world) {
  std::set<std::string> asked;
  for (const char* place : kPlaces) {
    if (world.script(place).calls("Release") > 0) asked.insert(place);
  }
  return asked;
}

TEST(MakeRoom, AsksThoseWhoHaveNothingToDoInTheStage) {
  const std::map<Stage, std::set<std::string>> idle = {
      {Stage::kSampling, {"policy/policy/0"}},
      {Stage::kTraining,
       {"rollout/rollout/0", "rollout/rollout/1", "reference/reference/0", "reward/reward/0", "cost/cost/0"}},
      {Stage::kPublishing,
       {"reference/reference/0", "reward/reward/0", "cost/cost/0", "critic/reward/0", "critic/cost/0"}}};
  for (const Stage stage : transport::kStages) {
    Cluster cluster(OffloadAll());
    cluster.Start();
    MakeRoom(cluster.job, *cluster.fleet, cluster.board, stage);
    EXPECT_EQ(Asked(cluster.world), idle.at(stage)) << transport::ToString(stage);
  }
}

TEST(MakeRoom, AsksNobodyWhoKeepsItsWeights) {
  Cluster cluster({"actors.2.offload=true"});
  cluster.Start();
  for (const Stage stage : transport::kStages) MakeRoom(cluster.job, *cluster.fleet, cluster.board, stage);
  EXPECT_EQ(Asked(cluster.world), (std::set<std::string>{"reward/reward/0", "critic/reward/0"}));
}

TEST(MakeRoom, GoesOnWhereAnActorKeepsItsWeightsAfterAll) {
  Cluster cluster(OffloadAll());
  cluster.Start();
  cluster.world.script("reward/reward/0").Fail("Release", absl::ResourceExhaustedError("disk full"));
  cluster.world.script("rollout/rollout/1").Fail("Release", absl::UnavailableError("samples are unfinished"));
  MakeRoom(cluster.job, *cluster.fleet, cluster.board, Stage::kTraining);
  EXPECT_EQ(cluster.fleet->Interruption(), absl::OkStatus());
  EXPECT_EQ(cluster.world.script("cost/cost/0").calls("Release"), 1);
}

absl::Status RunToEnd(World& world) {
  auto job = Job::Open(world.options());
  return job.ok() ? (*job)->Run() : job.status();
}

TEST(Offloading, ChangesNothingOfAJobAlsoWhereActorsDieWhileTheyRelease) {
  World undisturbed, world(OffloadAll());
  ASSERT_EQ(RunToEnd(undisturbed), absl::OkStatus());
  world.script("cost/cost/0").Die("Release", 1);
  world.script("policy/policy/0").Die("Release", 3);
  ASSERT_EQ(RunToEnd(world), absl::OkStatus());
  EXPECT_EQ(RunReader(world.run_dir()).Path(), RunReader(undisturbed.run_dir()).Path());
  EXPECT_GT(world.launcher().starts("cost/cost/0"), 1);
  EXPECT_GT(world.launcher().starts("policy/policy/0"), 1);
  // Once a step and more: before each of them, and for evaluations.
  EXPECT_GE(world.script("policy/policy/0").calls("Release"), 6);
}

}  // namespace
}  // namespace rein::coordinator
