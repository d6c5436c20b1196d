// A job whose policy and critics train adapters, with scorers that were trained so as well.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "tests/system/outcome.h"

namespace rein::system_test {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;

constexpr int kSteps = 4;
constexpr char kAdapters[] = "lora: {rank: 4, alpha: 8, dropout: 0.1}";

// TinyWorld's job with adapters everywhere.
fs::path LoraJobFile() {
  const World& world = TinyWorld();
  const fs::path file = world.folder / "lora.yaml";
  if (fs::exists(file)) return file;
  TrainBarely(world, "reward", "models/sft", "data/preferences.parquet", "lora_reward",
              absl::StrCat(kAdapters, "\n"));
  TrainBarely(world, "cost", "models/sft", "data/preferences.parquet", "lora_cost",
              absl::StrCat(kAdapters, "\n"));
  const std::string critics = absl::StrCat("  - {role: critic, name: reward, ", kAdapters,
                                           "}\n  - {role: critic, name: cost, ", kAdapters, "}\n");
  const std::string job = absl::StrReplaceAll(
      Bytes(world.job), {{"{role: policy, model: models/sft}",
                          absl::StrCat("{role: policy, model: models/sft, ", kAdapters, "}")},
                         {"models/reward", "models/lora_reward"},
                         {"models/cost", "models/lora_cost"},
                         {"policy_optimizer:", absl::StrCat(critics, "policy_optimizer:")}});
  std::ofstream(file) << job;
  return file;
}

class LoraJob : public Job {
 public:
  explicit LoraJob(const std::string& name)
      : Job(name, {"deterministic=true", absl::StrCat("steps=", kSteps)}, LoraJobFile()) {}
};

// What the same job comes to when nothing happens to it; it runs in the folder lora_undisturbed.
const Outcome& Undisturbed() {
  static const Outcome outcome = [] {
    LoraJob job("lora_undisturbed");
    EXPECT_EQ(job.Wait(), 0) << job.Output();
    return OutcomeOf(job, kSteps);
  }();
  return outcome;
}

void ExpectPeftFolder(const fs::path& adapter) {
  const auto config = nlohmann::json::parse(Bytes(adapter / "adapter_config.json"));
  EXPECT_EQ(config["peft_type"], "LORA") << adapter;
  EXPECT_EQ(config["r"], 4) << adapter;
  EXPECT_GT(fs::file_size(adapter / "adapter_model.safetensors"), 1000u) << adapter;
}

TEST(Lora, PublishesMergedWeightsAndLeavesThemWithTheirAdapters) {
  EXPECT_EQ(Undisturbed().lambdas.size(), kSteps);
  const fs::path run = RunFolder("lora_undisturbed");
  const auto metrics = Metrics(run);
  ASSERT_EQ(metrics.size(), kSteps);
  // The rollout samples from the weights that it was sent, the policy computes with base and adapters.
  for (const auto& line : metrics) EXPECT_LT(line["logprob_gap"].get<double>(), 1e-3) << line;
  const fs::path last = run / absl::StrCat("checkpoints/step-", kSteps);
  for (const char* actor : {"policy-policy", "critic-reward", "critic-cost"})
    ExpectPeftFolder(last / actor / "adapter");
  const fs::path policy = run / "policy";
  ExpectPeftFolder(policy / "adapter");
  EXPECT_NE(Bytes(policy / "model.safetensors"), Bytes(TinyWorld().sft / "model.safetensors"));
  for (const char* scorer : {"lora_reward", "lora_cost"})
    ExpectPeftFolder(TinyWorld().folder / "models" / scorer / "adapter");
  const CommandResult answer = RunCommand({"rein", "generate", "--model", policy.string(), "--image",
                                           PictureFile(TinyWorld(), 0).string(), "--prompt", "what is this?",
                                           "--greedy", "--max-tokens", "4"});
  EXPECT_EQ(answer.exit_code, 0) << answer.err;
}

TEST(Lora, GoesOnToTheBitAfterAKilledPolicy) {
  const Outcome& undisturbed = Undisturbed();
  LoraJob job("lora_killed");
  v1::JobStatus status;
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 3; }, &status));
  const pid_t victim = Job::PidOf(status, "policy");
  ASSERT_GT(victim, 0);
  kill(victim, SIGKILL);
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, kSteps, undisturbed);
}

TEST(Lora, ResumesToTheBit) {
  const Outcome& undisturbed = Undisturbed();
  LoraJob job("lora_resumed");
  ASSERT_TRUE(job.WaitFor([](const v1::JobStatus& s) { return s.step() >= 2; }));
  job.process().Signal(SIGINT);
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  ASSERT_THAT(Metrics(job.folder()), Not(IsEmpty()));
  job.Resume();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  ExpectUndisturbed(job, kSteps, undisturbed);
}

}  // namespace
}  // namespace rein::system_test
