// The disk is full when a checkpoint is to be written: said so, tried again, nothing older lost.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;

constexpr int kDiskBytes = 128 << 20;

// The checkpoints of a job on a disk of their own. Mounted in the mount namespace of this thread, which the
// processes that it starts share, so that nothing outlives the test.
class DiskFull : public testing::Test {
 protected:
  void SetUp() override {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
      GTEST_SKIP() << "this process may not mount";
    }
  }

  void TearDown() override {
    if (!disk_.empty()) umount2(disk_.c_str(), MNT_DETACH);
  }

  // Pauses the job after its first commit on the disk, and fills the disk.
  void FillUnderPausedJob(Job& job, v1::JobStatus* paused) {
    ASSERT_TRUE(job.WaitFor([](const v1::JobStatus&) { return true; }));
    const fs::path checkpoints = job.folder() / "checkpoints";
    ASSERT_EQ(mount("tmpfs", checkpoints.c_str(), "tmpfs", 0, absl::StrCat("size=", kDiskBytes).c_str()), 0);
    disk_ = checkpoints;
    ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.committed_step() >= 1; }));
    ASSERT_EQ(RunCommand({"rein", "pause", "--run-dir", job.folder().string()}).exit_code, 0);
    ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.phase() == v1::JOB_PAUSED; }, paused));
    Fill();
    ASSERT_EQ(RunCommand({"rein", "resume", "--run-dir", job.folder().string()}).exit_code, 0);
  }

  void Fill() {
    const int file = open(Filler().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    ASSERT_GE(file, 0);
    const std::string block(1 << 16, 'x');
    while (write(file, block.data(), block.size()) > 0) continue;
    close(file);
  }
  void MakeRoom() { fs::remove(Filler()); }
  fs::path Filler() const { return disk_ / "filler"; }

  fs::path disk_;
};

TEST_F(DiskFull, IsSaidInStatusAndTheJobCommitsWhenThereIsRoomAgain) {
  Job job("disk_full", {"steps=1000", "checkpoint.every=1"});
  v1::JobStatus paused, full;
  ASSERT_NO_FATAL_FAILURE(FillUnderPausedJob(job, &paused));
  ASSERT_TRUE(job.WaitFor(
      [&](const v1::JobStatus& s) { return s.step() >= paused.step() + 3 && !s.error().empty(); }, &full));
  EXPECT_THAT(full.error(), HasSubstr("no checkpoint of step"));
  EXPECT_THAT(full.error(), HasSubstr("No space left"));
  EXPECT_EQ(full.committed_step(), paused.committed_step());
  EXPECT_TRUE(fs::exists(disk_ / absl::StrCat("step-", paused.committed_step()) / "manifest.json"));
  MakeRoom();
  EXPECT_TRUE(job.WaitFor(
      [&](const v1::JobStatus& s) { return s.committed_step() > full.step() && s.error().empty(); }));
  job.StopEarly();
}

TEST_F(DiskFull, AtTheLastStepFailsTheJobWhichGoesOnWithRoom) {
  Job job("disk_full_at_the_end", {"steps=12", "checkpoint.every=1"});
  v1::JobStatus paused;
  ASSERT_NO_FATAL_FAILURE(FillUnderPausedJob(job, &paused));
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("the job failed: checkpoint: "));
  EXPECT_THAT(job.Output(), HasSubstr("No space left"));
  EXPECT_TRUE(fs::exists(disk_ / absl::StrCat("step-", paused.committed_step()) / "manifest.json"));
  MakeRoom();
  job.Resume();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Metrics(job.folder()).size(), 12);
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0], "96");
}

}  // namespace
}  // namespace rein::system_test
