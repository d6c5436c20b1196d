// The whole loop with real processes: start, watch, finish; what the run folder holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "rein/v1/coordinator.pb.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(WholeJob, RunsToItsEndAndLeavesACompleteRunFolder) {
  Job job("whole", {});
  v1::JobStatus seen;
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& status) { return status.step() >= 2; }, &seen));
  std::set<std::string> roles;
  for (const v1::ActorStatus& actor : seen.actors()) {
    roles.insert(actor.address().role());
    EXPECT_GT(actor.pid(), 0) << actor.ShortDebugString();
    EXPECT_FALSE(actor.listen_address().empty()) << actor.ShortDebugString();
    EXPECT_FALSE(actor.model().digest().empty()) << actor.ShortDebugString();
  }
  EXPECT_THAT(roles, ::testing::ElementsAre("cost", "critic", "policy", "reference", "reward", "rollout"));
  EXPECT_EQ(seen.total_steps(), 4);
  EXPECT_EQ(seen.multipliers_size(), 1);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_THAT(job.Output(), ::testing::EndsWith(absl::StrCat("run folder: ", job.folder().string(), "\n")));
  for (const char* file :
       {"job.yaml", "metrics.jsonl", "samples.jsonl", "ledger.sqlite", "report.html", "report.md",
        "report.json", "tensorboard", "policy/config.json", "policy/model.safetensors", "checkpoints/step-4",
        "evaluations/step-0.json", "evaluations/step-4.json", "logs"}) {
    EXPECT_TRUE(fs::exists(job.folder() / file)) << file;
  }
}

TEST(WholeJob, WritesOneLineOfMetricsAStep) {
  Job job("metrics", {});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const auto metrics = Metrics(job.folder());
  ASSERT_EQ(metrics.size(), 4);
  for (size_t i = 0; i < metrics.size(); ++i) {
    EXPECT_EQ(metrics[i]["step"], i + 1);
    for (const char* key :
         {"reward_mean", "kl", "violation_rate", "response_tokens", "tokens_per_second", "logprob_gap"}) {
      EXPECT_TRUE(metrics[i].contains(key) || metrics[i].dump().find(key) != std::string::npos) << key;
    }
    EXPECT_LT(metrics[i]["logprob_gap"].get<double>(), 1e-3);
  }
}

TEST(WholeJob, ConsumesEveryPromptExactlyOnce) {
  Job job("ledger", {});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'"),
            (std::vector<std::vector<std::string>>{{"32"}}));
  EXPECT_THAT(QueryLedger(job.folder(),
                          "SELECT prompt_id FROM samples WHERE state = 'consumed' GROUP BY prompt_id "
                          "HAVING COUNT(DISTINCT step) > 1 OR COUNT(*) != 2"),
              IsEmpty());
}

TEST(WholeJob, LeavesNoProcessBehind) {
  Job job("orphans", {"steps=1"});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
}

class WholeJobMode : public testing::TestWithParam<const char*> {};
TEST_P(WholeJobMode, Runs) {
  Job job(absl::StrCat("mode_", GetParam()), {"steps=2", absl::StrCat("algorithm.mode=", GetParam())});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Metrics(job.folder()).size(), 2);
}
INSTANTIATE_TEST_SUITE_P(Baselines, WholeJobMode, testing::Values("ppo_reward", "ppo_cost", "fixed_lambda"));

TEST(WholeJob, SyncsWeightsOverTheGrpcStreamAsWell) {
  Job job("stream", {"weight_sync.backend=grpc"});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Metrics(job.folder()).size(), 4);
}

// The rollouts multiply in float32: how far the policy is from them is the rounding of bfloat16.
TEST(WholeJob, TrainsPolicyAndCriticsInBfloat16) {
  Job job("bfloat16",
          {"steps=2", "policy_optimizer.precision=bfloat16", "critic_optimizer.precision=bfloat16"});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const auto metrics = Metrics(job.folder());
  ASSERT_EQ(metrics.size(), 2);
  for (const auto& line : metrics) {
    EXPECT_GT(line["logprob_gap"].get<double>(), 1e-5) << line;
    EXPECT_LT(line["logprob_gap"].get<double>(), 0.05) << line;
  }
  EXPECT_NE(Bytes(job.folder() / "policy/model.safetensors"), Bytes(TinyWorld().sft / "model.safetensors"));
}

TEST(WholeJob, StopsOnRequestAfterACommit) {
  Job job("stop", {"steps=1000"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& status) { return status.step() >= 2; }));
  job.StopEarly();
  EXPECT_THAT(job.Output(), HasSubstr("of 1000; go on with: rein run"));
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
  const size_t steps = Metrics(job.folder()).size();
  EXPECT_TRUE(fs::exists(job.folder() / absl::StrCat("checkpoints/step-", steps))) << steps;
}

TEST(WholeJob, PausesAndGoesOn) {
  Job job("pause", {"steps=1000"});
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& status) { return status.step() >= 1; }));
  ASSERT_EQ(RunCommand({"rein", "pause", "--run-dir", job.folder().string()}).exit_code, 0);
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& status) { return status.phase() == v1::JOB_PAUSED; }));
  const CommandResult checkpoint = RunCommand({"rein", "checkpoint", "--run-dir", job.folder().string()});
  EXPECT_EQ(checkpoint.exit_code, 0) << checkpoint.err;
  ASSERT_EQ(RunCommand({"rein", "resume", "--run-dir", job.folder().string()}).exit_code, 0);
  EXPECT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  const auto metrics = Metrics(job.folder());
  EXPECT_GE(metrics.size(), 3);
  for (size_t i = 0; i < metrics.size(); ++i) EXPECT_EQ(metrics[i]["step"], i + 1);
}

}  // namespace
}  // namespace rein::system_test
