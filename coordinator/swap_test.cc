#include "coordinator/swap.h"

#include <atomic>
#include <functional>
#include <future>
#include <thread>

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

bool Stays() { return false; }

// A fleet with a swapper; the job thread stands at its step boundaries from AtBoundaries on.
class Swapped {
 public:
  explicit Swapped(const std::vector<std::string>& overrides = {})
      : cluster(overrides),
        swapper(cluster.job, cluster.fleet.get(), &cluster.board, &cluster.desk, nullptr,
                [this](const ScorerChoice& choice) {
                  cluster.fleet->AcceptCandidates(choice);
                  return absl::OkStatus();
                }) {
    cluster.desk.Pause();
    cluster.Start();
    std::vector<v1::Sample> canary(2);
    canary[0].set_sample_id("p/0");
    canary[1].set_sample_id("p/1");
    swapper.SetCanary(canary);
  }
  ~Swapped() {
    cluster.desk.AskToStop();
    if (job_.joinable()) job_.join();
  }
  void AtBoundaries() {
    job_ = std::thread([this] {
      while (!cluster.desk.stop_wanted()) {
        cluster.desk.RunWork();
        cluster.desk.AwaitChange(absl::Seconds(1));
      }
    });
  }
  v1::SwapRequest Request() const {
    v1::SwapRequest request;
    request.set_role("cost");
    request.set_model(cluster.world.other_model());
    return request;
  }
  absl::Status Swap(const v1::SwapRequest& request, const ControlDesk::GoneFn& gone = Stays) {
    return swapper.Swap(
        request,
        [this](const v1::SwapProgress& progress) {
          stages.push_back(progress.stage());
          last = progress;
        },
        gone);
  }
  Script& candidate() { return cluster.world.script("cost/cost/1"); }
  void ExpectTheOldOneGoesOn() {
    EXPECT_EQ(stages.back(), v1::SWAP_ROLLED_BACK);
    EXPECT_THAT(last.message(), HasSubstr("the old scorer goes on"));
    EXPECT_THAT(cluster.world.launcher().running(),
                AllOf(Contains("cost/cost/0"), Not(Contains("cost/cost/1"))));
    EXPECT_EQ(cluster.fleet->scorers().size(), 2u);
    EXPECT_EQ(cluster.fleet->Interruption(), absl::OkStatus());
  }

  Cluster cluster;
  Swapper swapper;
  std::vector<v1::SwapStage> stages;
  v1::SwapProgress last;

 private:
  std::thread job_;
};

TEST(Swapper, LetsTheNewScorerTakeOverAtTheBoundary) {
  Swapped swapped;
  swapped.AtBoundaries();
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  EXPECT_THAT(swapped.stages, ElementsAre(v1::SWAP_STARTING, v1::SWAP_LOADING, v1::SWAP_CANARY,
                                          v1::SWAP_WAITING_FOR_BOUNDARY, v1::SWAP_DONE));
  EXPECT_NE(swapped.last.old_digest(), swapped.last.new_digest());
  EXPECT_THAT(swapped.cluster.world.launcher().running(),
              AllOf(Contains("cost/cost/1"), Not(Contains("cost/cost/0"))));
  EXPECT_THAT(swapped.candidate().requests(), ElementsAre(ElementsAre("p/0", "p/1")));
}

TEST(Swapper, LeavesTheOldScorerUntilTheBoundary) {
  Swapped swapped;
  auto swap = std::async(std::launch::async, [&] { return swapped.Swap(swapped.Request()); });
  ASSERT_TRUE(swapped.candidate().AwaitCalls("Score", 1));
  EXPECT_THAT(swapped.cluster.world.launcher().running(), Contains("cost/cost/0"));
  EXPECT_EQ(swapped.cluster.fleet->scorers().back().generation, 0);
  swapped.AtBoundaries();
  EXPECT_EQ(swap.get(), absl::OkStatus());
  EXPECT_EQ(swapped.cluster.fleet->scorers().back().generation, 1);
}

TEST(Swapper, RollsBackACanaryThatIsNoNumber) {
  Swapped swapped;
  swapped.AtBoundaries();
  swapped.candidate().Spoil("p/1", Script::Spoilt::kNaN, Script::kAlways);
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  EXPECT_THAT(swapped.last.message(), AllOf(HasSubstr("canary p/1"), HasSubstr("not a finite number")));
  swapped.ExpectTheOldOneGoesOn();
}

TEST(Swapper, RollsBackACanaryThatIsLate) {
  Swapped swapped({"limits.canary_timeout_s=0.5"});
  swapped.AtBoundaries();
  swapped.candidate().Hold("Score");
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  EXPECT_THAT(swapped.last.message(), HasSubstr("canary"));
  swapped.ExpectTheOldOneGoesOn();
}

TEST(Swapper, RollsBackAModelThatCannotBeLoaded) {
  Swapped swapped;
  swapped.AtBoundaries();
  swapped.candidate().Fail("Configure", absl::InvalidArgumentError("no score head"), Script::kAlways);
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  EXPECT_THAT(swapped.last.message(), HasSubstr("no score head"));
  swapped.ExpectTheOldOneGoesOn();
}

TEST(Swapper, RollsBackWhenNobodyWantsItAnyMore) {
  Swapped swapped;
  swapped.candidate().Hold("Configure");
  std::atomic<bool> gone = false;
  auto swap = std::async(std::launch::async,
                         [&] { return swapped.Swap(swapped.Request(), [&gone] { return gone.load(); }); });
  ASSERT_TRUE(swapped.candidate().AwaitCalls("Configure", 1));
  gone = true;
  EXPECT_EQ(swap.get(), absl::OkStatus());
  swapped.ExpectTheOldOneGoesOn();
}

TEST(Swapper, RollsBackWhenTheJobEndsBeforeTheBoundary) {
  Swapped swapped;
  auto swap = std::async(std::launch::async, [&] { return swapped.Swap(swapped.Request()); });
  ASSERT_TRUE(swapped.candidate().AwaitCalls("Score", 1));
  swapped.cluster.desk.Close(absl::OkStatus());
  EXPECT_EQ(swap.get(), absl::OkStatus());
  EXPECT_THAT(swapped.last.message(), HasSubstr("has ended"));
  swapped.ExpectTheOldOneGoesOn();
}

TEST(Swapper, RefusesASecondSwapMeanwhile) {
  Swapped swapped;
  swapped.AtBoundaries();
  swapped.candidate().Hold("Configure");
  auto first = std::async(std::launch::async, [&] { return swapped.Swap(swapped.Request()); });
  ASSERT_TRUE(swapped.candidate().AwaitCalls("Configure", 1));
  const absl::Status second = swapped.swapper.Swap(
      swapped.Request(), [](const auto&) { ADD_FAILURE(); }, Stays);
  EXPECT_EQ(second.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(second.message(), HasSubstr("a swap is under way"));
  swapped.candidate().Release("Configure");
  EXPECT_EQ(first.get(), absl::OkStatus());
  EXPECT_EQ(swapped.last.stage(), v1::SWAP_DONE);
}

TEST(Swapper, TriesAgainWithAFreshPlaceAfterARollback) {
  Swapped swapped;
  swapped.AtBoundaries();
  swapped.candidate().Fail("Score", absl::DataLossError("torn"), Script::kAlways);
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  swapped.ExpectTheOldOneGoesOn();
  ASSERT_EQ(swapped.Swap(swapped.Request()), absl::OkStatus());
  EXPECT_EQ(swapped.last.stage(), v1::SWAP_DONE) << swapped.last.message();
  EXPECT_THAT(swapped.cluster.world.launcher().running(), Contains("cost/cost/2"));
}

TEST(Swapper, RefusesWhatCannotBeASwap) {
  Swapped swapped;
  const auto refused = [&](const std::function<void(v1::SwapRequest&)>& change) {
    v1::SwapRequest request = swapped.Request();
    change(request);
    return swapped.Swap(request);
  };
  EXPECT_THAT(refused([](auto& request) { request.set_role("policy"); }).message(),
              HasSubstr("only reward and cost"));
  const absl::Status unknown = refused([](auto& request) { request.set_name("costs"); });
  EXPECT_EQ(unknown.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(unknown.message(), AllOf(HasSubstr("'costs'"), HasSubstr("cost")));
  EXPECT_EQ(refused([](auto& request) { request.set_model(""); }).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused([](auto& request) { request.set_model("models/cost"); }).message(),
              HasSubstr("absolute path"));
  const absl::Status nothing = refused([](auto& request) { request.set_model("/nowhere/model"); });
  EXPECT_EQ(nothing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(nothing.message(), HasSubstr("/nowhere/model"));
  EXPECT_THAT(refused([](auto& request) { request.set_address("10.0.0.1:80"); }).message(),
              HasSubstr("not a loopback address"));
  EXPECT_THAT(swapped.stages, ::testing::IsEmpty());
}

}  // namespace
}  // namespace rein::coordinator
