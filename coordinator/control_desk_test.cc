#include "coordinator/control_desk.h"

#include <atomic>
#include <future>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using ::testing::HasSubstr;

bool Stays() { return false; }
bool Gone() { return true; }

// As the job thread does between two steps.
void RunWorkOnce(ControlDesk& desk) {
  while (!desk.RunWork()) desk.AwaitChange(absl::Seconds(1));
}

TEST(ControlDesk, RemembersAPauseUntilItIsResumed) {
  ControlDesk desk;
  EXPECT_FALSE(desk.paused());
  desk.Pause();
  desk.Pause();
  EXPECT_TRUE(desk.paused());
  desk.Resume();
  EXPECT_FALSE(desk.paused());
}

TEST(ControlDesk, RunsWorkAtTheBoundaryAndReturnsItsResult) {
  ControlDesk desk;
  desk.Pause();
  EXPECT_FALSE(desk.RunWork());
  std::atomic<bool> ran = false;
  auto asked = std::async(std::launch::async, [&] {
    return desk.AtBoundary(
        [&ran] {
          ran = true;
          return absl::DataLossError("no luck");
        },
        Stays);
  });
  RunWorkOnce(desk);
  EXPECT_EQ(asked.get(), absl::DataLossError("no luck"));
  EXPECT_TRUE(ran);
  EXPECT_FALSE(desk.RunWork()) << "once";
}

TEST(ControlDesk, DoesTheWorkAlthoughTheCallerHasGone) {
  ControlDesk desk;
  bool ran = false;
  const absl::Status status = desk.AtBoundary(
      [&ran] {
        ran = true;
        return absl::OkStatus();
      },
      Gone);
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(desk.RunWork());
  EXPECT_TRUE(ran);
}

TEST(ControlDesk, AnswersAStopWhenTheJobHasEnded) {
  ControlDesk desk;
  auto asked = std::async(std::launch::async, [&] { return desk.Stop(Stays); });
  desk.Pause();
  while (!desk.stop_wanted()) desk.AwaitChange(absl::Seconds(1));
  desk.Close(absl::OkStatus());
  EXPECT_EQ(asked.get(), absl::OkStatus());
}

TEST(ControlDesk, WantsTheEndAlsoWhenNobodyWaitsForIt) {
  ControlDesk desk;
  desk.AskToStop();
  EXPECT_TRUE(desk.stop_wanted());
}

TEST(ControlDesk, TellsEverybodyThatTheJobHasEnded) {
  ControlDesk desk;
  desk.Pause();
  auto stop = std::async(std::launch::async, [&] { return desk.Stop(Stays); });
  while (!desk.stop_wanted()) desk.AwaitChange(absl::Seconds(1));
  EXPECT_EQ(desk.AtBoundary([] { return absl::OkStatus(); }, Gone).code(), absl::StatusCode::kCancelled);
  desk.Close(absl::DataLossError("broken"));
  EXPECT_EQ(stop.get(), absl::DataLossError("broken"));
  EXPECT_FALSE(desk.RunWork()) << "what was not reached is not done";
  const absl::Status late = desk.AtBoundary([] { return absl::OkStatus(); }, Stays);
  EXPECT_EQ(late.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(late.message(), HasSubstr("has ended"));
  EXPECT_EQ(desk.Stop(Stays), absl::DataLossError("broken"));
}

}  // namespace
}  // namespace rein::coordinator
