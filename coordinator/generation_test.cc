#include "coordinator/generation.h"

#include <algorithm>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/fakes/world.h"
#include "coordinator/step_table.h"
#include "coordinator/training_calls.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using fakes::Cluster;
using fakes::Script;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Generates "0.0/0" to "3.0/1" with the weights that the job starts from.
class Generated {
 public:
  explicit Generated(const std::vector<std::string>& overrides = {})
      : cluster(overrides), weights_(cluster.job, cluster.fleet.get(), &cluster.board) {
    cluster.Start();
    v1::WeightVersion version;
    version.set_coordinator_epoch(1);
    TrainingCalls training(cluster.job, cluster.fleet.get(), &cluster.board);
    EXPECT_EQ(training.Load("", {}, version), absl::OkStatus());
    EXPECT_EQ(weights_.Publish(version), absl::OkStatus());
  }

  absl::Status Run() {
    GenerationWork work;
    for (int i = 0; i < 4; ++i) {
      v1::PromptSpec& spec = work.prompts.emplace_back();
      spec.mutable_prompt()->set_prompt_id(absl::StrCat(i, ".0"));
      spec.add_samples(0);
      spec.add_samples(1);
    }
    work.sampling.set_seed(3);
    work.step = 1;
    Generation generation(cluster.job, cluster.fleet.get(), &cluster.board, &weights_);
    return generation.Run(work, {.sample = [this](v1::Sample sample) { Add(std::move(sample)); },
                                 .refusal = [this](const auto& refusal) { Refuse(refusal); },
                                 .missing = [this](const auto& prompt) { return Missing(prompt); }});
  }
  Script& first() { return cluster.world.script("rollout/rollout/0"); }
  Script& second() { return cluster.world.script("rollout/rollout/1"); }

  Cluster cluster;
  std::map<std::string, std::string> answers;  // by sample
  std::vector<std::string> refused;

 private:
  void Add(v1::Sample sample) {
    absl::MutexLock lock(&mutex_);
    const auto [known, fresh] = answers.emplace(sample.sample_id(), sample.answer());
    EXPECT_EQ(known->second, sample.answer()) << "a sample that comes again must be the same";
  }
  void Refuse(const v1::PromptRefusal& refusal) {
    absl::MutexLock lock(&mutex_);
    refused.push_back(refusal.prompt_id());
  }
  std::vector<int32_t> Missing(const v1::PromptSpec& spec) {
    absl::MutexLock lock(&mutex_);
    std::vector<int32_t> missing;
    const std::string& id = spec.prompt().prompt_id();
    for (const int32_t sample : spec.samples()) {
      const bool settled = answers.contains(SampleId(id, sample)) ||
                           std::find(refused.begin(), refused.end(), id) != refused.end();
      if (!settled) missing.push_back(sample);
    }
    return missing;
  }

  WeightPublisher weights_;
  absl::Mutex mutex_;
};

TEST(Generation, DealsPromptsOutToTheReplicasEvenly) {
  Generated generated;
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_THAT(generated.answers, SizeIs(8));
  EXPECT_THAT(generated.first().requests(), ElementsAre(ElementsAre("0.0/0", "0.0/1", "1.0/0", "1.0/1")));
  EXPECT_THAT(generated.second().requests(), ElementsAre(ElementsAre("2.0/0", "2.0/1", "3.0/0", "3.0/1")));
}

TEST(Generation, TakesARefusalForAnAnswer) {
  Generated generated;
  generated.first().Refuse("1.0");
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_THAT(generated.refused, ElementsAre("1.0"));
  EXPECT_THAT(generated.answers, SizeIs(6));
}

TEST(Generation, AsksARestartedReplicaForWhatIsMissing) {
  Generated generated;
  generated.first().Die("Sample", 2);
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_THAT(generated.answers, SizeIs(8));
  EXPECT_THAT(generated.first().requests().back(), ElementsAre("1.0/0", "1.0/1"));
  EXPECT_EQ(generated.first().calls("ReceiveStream"), 1) << "it comes back without weights";
  EXPECT_THAT(generated.second().requests(), SizeIs(1));
}

TEST(Generation, ReplaysTheWholeListWhereTheJobIsDeterministic) {
  Generated generated({"deterministic=true"});
  generated.first().Die("Sample", 2);
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_THAT(generated.answers, SizeIs(8));
  EXPECT_EQ(generated.first().requests().back(), generated.first().requests().front());
}

TEST(Generation, BringsTheWeightsToAReplicaThatLacksThem) {
  Generated generated;
  generated.second().Fail("Generate", absl::FailedPreconditionError("other weights"));
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_EQ(generated.second().calls("ReceiveStream"), 1);
  EXPECT_THAT(generated.answers, SizeIs(8));
}

TEST(Generation, AsksAgainWhenAStreamEndsWithoutASample) {
  Generated generated;
  generated.first().Spoil("1.0/0", Script::Spoilt::kMissing, 1);
  ASSERT_EQ(generated.Run(), absl::OkStatus());
  EXPECT_THAT(generated.first().requests(), ElementsAre(SizeIs(4), ElementsAre("1.0/0")));
}

TEST(Generation, GivesUpOnAReplicaThatNeverAnswersASample) {
  Generated generated({"limits.max_restarts=0"});
  generated.first().Spoil("1.0/0", Script::Spoilt::kMissing, Script::kAlways);
  const absl::Status status = generated.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("rollout/rollout/0"), HasSubstr("samples are missing")));
}

TEST(Generation, ReplacesAReplicaThatMakesNoProgress) {
  Generated generated({"limits.progress_timeout_s=1"});
  generated.first().Hold("Sample");
  std::thread release([&] {
    EXPECT_TRUE(generated.first().AwaitCalls("Start", 2));
    generated.first().Release("Sample");
  });
  EXPECT_EQ(generated.Run(), absl::OkStatus());
  release.join();
  EXPECT_THAT(generated.answers, SizeIs(8));
}

TEST(Generation, StopsAtRubbishAndNamesTheReplica) {
  Generated generated;
  generated.second().Fail("Sample", absl::DataLossError("logits are not finite"));
  const absl::Status status = generated.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("rollout/rollout/1"), HasSubstr("not finite")));
}

TEST(Generation, EndsWhenTheFleetIsInterrupted) {
  Generated generated;
  const Slot slot{"policy", "policy", 0};
  const Target policy = *generated.cluster.fleet->AwaitReady(slot);
  generated.cluster.world.launcher().Kill("policy/policy/0");
  while (generated.cluster.fleet->Interruption().ok()) {
    generated.cluster.fleet->AwaitAfterFailure(slot, policy).IgnoreError();
  }
  EXPECT_EQ(generated.Run().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(generated.answers, IsEmpty());
}

}  // namespace
}  // namespace rein::coordinator
