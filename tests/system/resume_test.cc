// Interrupted jobs go on from the last commit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Resume, AfterCtrlCGoesOnWhereItStopped) {
  Job job("ctrl_c", {"steps=6"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 2; }));
  job.process().Signal(SIGINT);
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("of 6; go on with: rein run"));
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
  const size_t steps = Metrics(job.folder()).size();
  ASSERT_LT(steps, 6);
  job.Resume();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const auto metrics = Metrics(job.folder());
  ASSERT_EQ(metrics.size(), 6);
  for (size_t i = 0; i < metrics.size(); ++i) EXPECT_EQ(metrics[i]["step"], i + 1);
}

TEST(Resume, WithoutItAnUnfinishedRunIsRefused) {
  Job job("unfinished", {"steps=6"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 1; }));
  job.process().Signal(SIGINT);
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  const CommandResult again =
      RunCommand({"rein", "run", TinyWorld().job.string(), "--run-dir", job.folder().string()});
  EXPECT_NE(again.exit_code, 0);
  EXPECT_THAT(again.err, HasSubstr("--resume"));
}

TEST(Resume, OfARunThatIsGoingOnIsRefused) {
  Job job("twice", {"steps=1000"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 1; }));
  const CommandResult second =
      RunCommand({"rein", "run", TinyWorld().job.string(), "--run-dir", job.folder().string(), "--resume"});
  EXPECT_NE(second.exit_code, 0);
  EXPECT_THAT(second.err, HasSubstr(std::to_string(job.process().pid())));
  job.StopEarly();
}

TEST(Resume, RefusesADamagedCheckpointAndUsesTheOneBefore) {
  Job job("damaged", {"steps=6", "checkpoint.every=1", "checkpoint.keep_newest=6"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.committed_step() >= 3; }));
  job.process().Signal(SIGKILL);
  job.Wait();
  for (const pid_t pid : ProcessesWithArgument(job.folder().string())) WaitUntilGone(pid, absl::Seconds(10));
  int newest = 0;
  for (const auto& entry : fs::directory_iterator(job.folder() / "checkpoints")) {
    int step = 0;
    if (sscanf(entry.path().filename().c_str(), "step-%d", &step) == 1 &&
        entry.path().extension() != ".partial") {
      newest = std::max(newest, step);
    }
  }
  const fs::path weights =
      job.folder() / ("checkpoints/step-" + std::to_string(newest)) / "policy-policy/model/model.safetensors";
  fs::resize_file(weights, fs::file_size(weights) / 2);
  job.Resume();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Metrics(job.folder()).size(), 6);
}

}  // namespace
}  // namespace rein::system_test
