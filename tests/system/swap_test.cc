// Scorers swapped while the job runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

bool InStepTwo(const v1::JobStatus& status) { return status.step() >= 2; }

// More than are done by the time a new scorer is loaded.
const std::vector<std::string> kManySteps = {"steps=1000"};

CommandResult Swap(const Job& job, const std::string& role, const fs::path& model) {
  return RunCommand({"rein", "swap", role, "--model", model.string(), "--run-dir", job.folder().string()});
}

TEST(Swap, TakesOverAtAStepBoundaryAndLosesNoSample) {
  Job job("swap", kManySteps);
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const CommandResult swap = Swap(job, "cost", TinyWorld().other_cost);
  EXPECT_EQ(swap.exit_code, 0) << swap.out << swap.err;
  ASSERT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  EXPECT_THAT(QueryLedger(job.folder(), "SELECT DISTINCT cost_digest FROM scores_view"), SizeIs(2));
  EXPECT_THAT(
      QueryLedger(job.folder(),
                  "SELECT step FROM scores_view GROUP BY step HAVING COUNT(DISTINCT cost_digest) > 1"),
      IsEmpty());
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0],
            std::to_string(8 * Metrics(job.folder()).size()));
}

TEST(Swap, OfTheRewardWorksAsWell) {
  Job job("swap_reward", kManySteps);
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const CommandResult swap = Swap(job, "reward", TinyWorld().other_cost);
  EXPECT_EQ(swap.exit_code, 0) << swap.out << swap.err;
  ASSERT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  EXPECT_THAT(QueryLedger(job.folder(), "SELECT DISTINCT reward_digest FROM scores_view"), SizeIs(2));
}

TEST(Swap, IsRolledBackWhenTheNewModelCannotBeLoaded) {
  Job job("swap_bad", kManySteps);
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const CommandResult missing = Swap(job, "cost", TinyWorld().folder / "nothing");
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, HasSubstr("nothing"));
  // A policy has no score head: it loads as a folder, but cannot score.
  const CommandResult no_head = Swap(job, "cost", TinyWorld().sft);
  EXPECT_EQ(no_head.exit_code, 1) << no_head.out;
  ASSERT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  EXPECT_THAT(QueryLedger(job.folder(), "SELECT DISTINCT cost_digest FROM scores_view"), SizeIs(1));
}

TEST(Swap, OfAnUnknownScorerIsRefused) {
  Job job("swap_unknown", kManySteps);
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const CommandResult swap =
      RunCommand({"rein", "swap", "cost", "--name", "toxicity", "--model", TinyWorld().other_cost.string(),
                  "--run-dir", job.folder().string()});
  EXPECT_EQ(swap.exit_code, 1);
  EXPECT_THAT(swap.err, HasSubstr("toxicity"));
  job.StopEarly();
}

}  // namespace
}  // namespace rein::system_test
