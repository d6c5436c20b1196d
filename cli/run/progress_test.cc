#include "cli/run/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "cli/run/run_command.h"
#include "cli/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Line(int step) {
  return absl::StrCat(
      R"({"step":)", step, R"(,"reward_mean":1.25,"kl":0.5,"violation_rate":0.125,"seconds":{"total":2.5},)",
      R"("constraints":{"cost":{"cost_window_mean":-0.5,"threshold":0,"lambda":1.5}}})", "\n");
}

std::vector<int> Steps(MetricsTail& tail) {
  std::vector<int> steps;
  for (const auto& line : tail.ReadNew()) steps.push_back(line["step"]);
  return steps;
}

TEST(MetricsTail, GivesEveryStepOnce) {
  TestFolder folder;
  MetricsTail tail(folder.path() / "metrics.jsonl", 0);
  EXPECT_THAT(Steps(tail), IsEmpty());
  folder.Write("metrics.jsonl", Line(1) + Line(2) + "{\"step\":3");
  EXPECT_THAT(Steps(tail), ElementsAre(1, 2));
  folder.Write("metrics.jsonl", Line(1) + Line(2) + Line(3));
  EXPECT_THAT(Steps(tail), ElementsAre(3));
  EXPECT_THAT(Steps(tail), IsEmpty());
}

TEST(MetricsTail, FollowsARollback) {
  TestFolder folder;
  folder.Write("metrics.jsonl", Line(1) + Line(2) + Line(3));
  MetricsTail tail(folder.path() / "metrics.jsonl", 1);
  EXPECT_THAT(Steps(tail), ElementsAre(2, 3));
  folder.Write("metrics.jsonl", Line(1));
  EXPECT_THAT(Steps(tail), IsEmpty());
  folder.Write("metrics.jsonl", Line(1) + Line(2) + Line(3) + Line(4));
  EXPECT_THAT(Steps(tail), ElementsAre(4));
}

TEST(MetricsTail, PassesOverRubbish) {
  TestFolder folder;
  folder.Write("metrics.jsonl", "rubbish\n[1]\n{\"step\":\"x\"}\n" + Line(1));
  MetricsTail tail(folder.path() / "metrics.jsonl", 0);
  EXPECT_THAT(Steps(tail), ElementsAre(1));
}

TEST(StepLine, TellsRewardCostAgainstItsBoundAndTheRate) {
  EXPECT_EQ(StepLine(nlohmann::json::parse(Line(3)), 40),
            "step 3/40  reward 1.25  cost -0.5 (at most 0)  lambda 1.5  unsafe 12.5 %  kl 0.5  2.5 s");
  EXPECT_EQ(StepLine(nlohmann::json::object()), "step 0  reward -  unsafe -  kl -");
}

class ProgressTest : public testing::Test {
 protected:
  ProgressTest() : out_(tmpfile()) {}
  ~ProgressTest() override { fclose(out_); }
  Progress Make(int64_t total, bool terminal = false) {
    return Progress(out_, terminal, folder_.path(), 0, total);
  }
  std::string Output() {
    rewind(out_);
    std::string text(1 << 20, '\0');
    text.resize(fread(text.data(), 1, text.size(), out_));
    return text;
  }
  TestFolder folder_;
  FILE* const out_;
};

TEST_F(ProgressTest, WritesOneLineAStep) {
  Progress progress = Make(40);
  folder_.Write("metrics.jsonl", Line(1) + Line(2));
  progress.Show({}, absl::Now());
  progress.Finish();
  EXPECT_THAT(Output(), HasSubstr("step 1/40"));
  EXPECT_THAT(Output(), HasSubstr("step 2/40"));
}

TEST_F(ProgressTest, ThinsOutLongRunsButShowsTheEnd) {
  Progress progress = Make(1001);
  std::string lines;
  for (int step = 1; step <= 1001; ++step) lines += Line(step);
  folder_.Write("metrics.jsonl", lines);
  progress.Finish();
  const std::string output = Output();
  EXPECT_EQ(std::count(output.begin(), output.end(), '\n'), 201);
  EXPECT_THAT(output, HasSubstr("step 5/1001"));
  EXPECT_THAT(output, Not(HasSubstr("step 6/1001")));
  EXPECT_THAT(output, HasSubstr("step 1001/1001"));
}

TEST_F(ProgressTest, ShowsTheLastStepOfALongRunThatWasStopped) {
  Progress progress = Make(1001);
  folder_.Write("metrics.jsonl", Line(5) + Line(6) + Line(7));
  progress.Show({}, absl::Now());
  progress.Finish();
  EXPECT_EQ(Output(), StepLine(nlohmann::json::parse(Line(5)), 1001) + "\n" +
                          StepLine(nlohmann::json::parse(Line(7)), 1001) + "\n");
}

TEST_F(ProgressTest, LeavesTheLastStepOnATerminal) {
  Progress progress = Make(40, /*terminal=*/true);
  folder_.Write("metrics.jsonl", Line(1) + Line(2));
  v1::JobStatus status;
  status.set_phase(v1::JOB_FINISHED);
  status.set_step(2);
  status.set_total_steps(40);
  progress.Show(status, absl::Now());
  progress.Finish();
  EXPECT_EQ(Output(),
            "\r\x1b[2Kfinished  step 2/40\r\x1b[2K" + StepLine(nlohmann::json::parse(Line(2)), 40) + "\n");
}

TEST_F(ProgressTest, NamesTheOldestWaitBeforeThereAreFigures) {
  Progress progress = Make(4, /*terminal=*/true);
  v1::JobStatus status;
  status.set_phase(v1::JOB_STARTING);
  const absl::Time now = absl::FromUnixSeconds(1000);
  for (const int age : {1, 3, 2}) {
    v1::Wait* wait = status.add_waiting_for();
    wait->set_what(absl::StrCat("actor ", age));
    wait->set_since_ns(absl::ToUnixNanos(now - absl::Seconds(age)));
  }
  progress.Show(status, now);
  status.add_metrics()->set_name("reward_mean");
  progress.Show(status, now);
  EXPECT_EQ(Output(),
            "\r\x1b[2Kstarting  step 0/0  waiting for actor 3\r\x1b[2Kstarting  step 0/0  reward 0");
}

TEST_F(ProgressTest, TellsTheTimeLeftFromTheSecondStepOnToTheLast) {
  Progress progress = Make(4, /*terminal=*/true);
  const absl::Time start = absl::FromUnixSeconds(1000);
  v1::JobStatus status;
  status.set_phase(v1::JOB_TRAINING);
  std::string lines;
  for (int step = 1; step <= 4; ++step) {
    lines += Line(step);
    folder_.Write("metrics.jsonl", lines);
    status.set_step(step);
    progress.Show(status, start + absl::Seconds(10 * step));
  }
  EXPECT_EQ(Output(),
            "\r\x1b[2Ktraining  step 1/0\r\x1b[2Ktraining  step 2/0  20 s left"
            "\r\x1b[2Ktraining  step 3/0  10 s left\r\x1b[2Ktraining  step 4/0");
}

TEST_F(ProgressTest, SaysWhatIsWaitedForAfterTenSecondsAndNotAgainAtOnce) {
  Progress progress = Make(40);
  const absl::Time start = absl::FromUnixSeconds(1000);
  v1::JobStatus status;
  v1::Wait* wait = status.add_waiting_for();
  wait->set_what("rollout/0: 3 samples");
  wait->set_since_ns(absl::ToUnixNanos(start));
  progress.Show(status, start);
  EXPECT_THAT(Output(), IsEmpty());
  EXPECT_EQ(progress.NextReminder(), start + absl::Seconds(10));
  progress.Remind(start + absl::Seconds(10));
  progress.Remind(start + absl::Seconds(20));
  EXPECT_EQ(Output(), "waiting for rollout/0: 3 samples since 10 s\n");
}

TEST_F(ProgressTest, SaysRestartsRollbacksAndErrorsOnce) {
  Progress progress = Make(40);
  v1::JobStatus status;
  status.set_phase(v1::JOB_RECOVERING);
  status.set_actor_restarts(1);
  status.set_rollbacks(1);
  status.set_committed_step(2);
  status.set_error("policy/policy/0 died");
  progress.Show(status, absl::Now());
  progress.Show(status, absl::Now());
  EXPECT_EQ(Output(),
            "an actor was restarted (1 so far)\nrolled back to the commit of step 2 (1 rollbacks so far)\n"
            "recovering: policy/policy/0 died\n");
}

TEST(FitToColumns, CutsBetweenItems) {
  EXPECT_EQ(FitToColumns("step 1  reward 1.25", 19), "step 1  reward 1.25");
  EXPECT_EQ(FitToColumns("step 1  reward 1.25", 18), "step 1");
  EXPECT_EQ(FitToColumns("step 1  reward 1.25", 6), "step 1");
  EXPECT_EQ(FitToColumns("step 1  reward 1.25", 4), "step");
  EXPECT_EQ(FitToColumns("step 1", 0), "s");
}

TEST(LiveLine, TellsPhaseFiguresAndTimeLeft) {
  v1::JobStatus status;
  status.set_phase(v1::JOB_TRAINING);
  status.set_step(3);
  status.set_total_steps(40);
  EXPECT_EQ(LiveLine(status, std::nullopt), "training  step 3/40");
  v1::Metric* reward = status.add_metrics();
  reward->set_name("reward_mean");
  reward->set_value(1.25);
  v1::MultiplierStatus* m = status.add_multipliers();
  m->set_constraint("cost");
  m->set_cost_window_mean(0.5);
  m->set_lambda(2);
  m->set_violation_rate(0.25);
  EXPECT_EQ(
      LiveLine(status, absl::Seconds(185)),
      "training  step 3/40  3 min 05 s left  reward 1.25  cost 0.5 (at most 0)  lambda 2  unsafe 25.0 %");
}

TEST(Ending, SaysHowToGoOn) {
  v1::Job job;
  job.set_steps(6);
  EXPECT_EQ(Ending({"finished", 6, ""}, job, "job.yaml", "/runs/a"),
            "finished 6 steps\nrun folder: /runs/a\n");
  EXPECT_EQ(Ending({"stopped", 3, ""}, job, "job.yaml", "/runs/a"),
            "stopped at step 3 of 6; go on with: rein run job.yaml --run-dir /runs/a --resume\n"
            "run folder: /runs/a\n");
  const std::string failed = Ending({"failed", 3, "disk full"}, job, "", "/runs/a");
  EXPECT_THAT(failed, HasSubstr("failed after step 3 of 6"));
  EXPECT_THAT(failed, HasSubstr("logs: /runs/a/logs"));
  EXPECT_THAT(failed, HasSubstr("rein run /runs/a/job.yaml --run-dir /runs/a --resume"));
  EXPECT_THAT(failed, testing::EndsWith("\nrun folder: /runs/a\n"));
}

}  // namespace
}  // namespace rein::cli
