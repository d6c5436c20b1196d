#include "coordinator/status_board.h"

#include <future>
#include <optional>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

v1::Job Job() {
  v1::Job job;
  job.set_name("gentle");
  job.set_steps(9);
  return job;
}

class StatusBoardTest : public ::testing::Test {
 protected:
  StatusBoard board_{Job(), "job-1", "runs/gentle"};
};

TEST_F(StatusBoardTest, BeginsWithWhatIsKnownOfTheJob) {
  const v1::JobStatus status = board_.Snapshot(/*without_job=*/false);
  EXPECT_EQ(status.job_id(), "job-1");
  EXPECT_EQ(status.name(), "gentle");
  EXPECT_EQ(status.total_steps(), 9);
  EXPECT_EQ(status.run_dir(), "runs/gentle");
  EXPECT_EQ(status.phase(), v1::JOB_STARTING);
  EXPECT_EQ(status.job().name(), "gentle");
  EXPECT_FALSE(board_.Snapshot(/*without_job=*/true).has_job());
}

TEST_F(StatusBoardTest, ShowsAWaitForAsLongAsItLasts) {
  {
    const auto outer = board_.Wait("policy: train", absl::FromUnixSeconds(7));
    const auto inner = board_.Wait("scores", absl::InfiniteFuture());
    const v1::JobStatus status = board_.Snapshot(true);
    ASSERT_EQ(status.waiting_for_size(), 2);
    EXPECT_EQ(status.waiting_for(0).what(), "policy: train");
    EXPECT_EQ(status.waiting_for(0).until_ns(), 7'000'000'000);
    EXPECT_EQ(status.waiting_for(1).what(), "scores");
  }
  EXPECT_EQ(board_.Snapshot(true).waiting_for_size(), 0);
}

TEST_F(StatusBoardTest, KeepsAMovedWaitOnce) {
  std::optional<StatusBoard::NamedWait> kept;
  {
    StatusBoard::NamedWait wait = board_.Wait("canary", absl::InfiniteFuture());
    kept.emplace(std::move(wait));
  }
  EXPECT_EQ(board_.Snapshot(true).waiting_for_size(), 1);
  kept.reset();
  EXPECT_EQ(board_.Snapshot(true).waiting_for_size(), 0);
}

TEST_F(StatusBoardTest, WakesWhoeverWaitsWithEveryKindOfChange) {
  const uint64_t first = board_.Await(0, absl::ZeroDuration());
  EXPECT_EQ(board_.Await(first, absl::ZeroDuration()), first) << "nothing has changed";
  auto waiter = std::async(std::launch::async, [&] { return board_.Await(first, absl::Seconds(60)); });
  board_.SetPhase(v1::JOB_TRAINING);
  const uint64_t second = waiter.get();
  EXPECT_GT(second, first);
  EXPECT_EQ(board_.Snapshot(true).phase(), v1::JOB_TRAINING);
  board_.Touch();
  EXPECT_GT(board_.Await(second, absl::ZeroDuration()), second);
}

}  // namespace
}  // namespace rein::coordinator
