// Adapters of a policy and a critic as a job uses them: publishing, saving, loading.
#include "models/lora.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "actors/critic/critic_role.h"
#include "actors/policy_under_test.h"
#include "actors/reference/reference_role.h"
#include "base/file.h"
#include "collectives/staged_weights.h"
#include "models/vision_language_model.h"
#include "rein/v1/trainable.grpc.pb.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;

constexpr char kPolicyJob[] =
    "actors: [{role: policy, name: policy, lora: {rank: 2, alpha: 4, dropout: 0.2}}]\n"
    "policy_optimizer: {learning_rate: 0.01, warmup_ratio: 0}\n";

class LoraPolicy : public testing::Test, public PolicyUnderTest {
 protected:
  LoraPolicy() : PolicyUnderTest(kPolicyJob) {}
};

TEST_F(LoraPolicy, PublishesMergedWeightsAndSavesBoth) {
  const uint64_t start = Fingerprint(0);
  EXPECT_EQ(start, collectives::Fingerprint(models::LoadModel(model_).value()->tensors()));
  Train(1);
  const uint64_t trained = Fingerprint(1);
  EXPECT_NE(trained, start);
  const std::filesystem::path folder = training::FreshFolder("checkpoint");
  Save(folder);
  const auto merged = models::LoadModel(folder / "policy-policy/model").value();
  EXPECT_EQ(collectives::Fingerprint(merged->tensors()), trained);
  const auto base = models::LoadModel(model_).value();
  const auto lora = models::Lora::Attach(base.get(), {.rank = 2, .alpha = 4}).value();
  const auto values = lora->Read(folder / "policy-policy/adapter");
  ASSERT_TRUE(values.ok()) << values.status();
  lora->Set(*values);
  EXPECT_EQ(collectives::Fingerprint(base->tensors()), trained);
}

TEST_F(LoraPolicy, GoesOnFromACheckpointToTheSameBits) {
  Train(1);
  const std::filesystem::path folder = training::FreshFolder("checkpoint");
  const v1::SaveStateResponse saved = Save(folder);
  Train(2);
  const uint64_t expected = Fingerprint(2);
  ASSERT_EQ(Load(folder, saved), absl::OkStatus());
  EXPECT_NE(Fingerprint(1), expected);
  Train(2);
  EXPECT_EQ(Fingerprint(2), expected);
}

TEST_F(LoraPolicy, KeepsItsStateWhenTheAdaptersOfACheckpointAreOthers) {
  Train(1);
  const std::filesystem::path folder = training::FreshFolder("checkpoint");
  v1::SaveStateResponse saved = Save(folder);
  saved.clear_files();
  Train(2);
  const uint64_t before = Fingerprint(2);
  ASSERT_EQ(WriteFileAtomically(folder / "policy-policy/adapter/adapter_config.json",
                                "{\"r\": 5, \"lora_alpha\": 4}"),
            absl::OkStatus());
  const absl::Status status = Load(folder, saved);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("lora.rank 2"));
  EXPECT_EQ(Fingerprint(2), before);
}

TEST(Lora, IsForThoseThatTrain) {
  RoleUnderTest reference(reference::MakeRole, TestAddress("reference", "reference"),
                          "actors: [{role: reference, name: reference, lora: {rank: 2}}]\n");
  const absl::Status status = reference.Configure(MakeModelFolder("reference", 1, false)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("only policy and critics train"));
}

TEST(Lora, OfACriticNamesATargetThatMatchesNothing) {
  RoleUnderTest critic(critic::MakeRole, TestAddress("critic", "reward"),
                       "actors: [{role: critic, name: reward, lora: {rank: 2, targets: [query]}}]\n");
  const absl::Status status = critic.Configure(MakeModelFolder("critic", 1, true)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr("\"query\""), HasSubstr("q_proj")));
}

}  // namespace
}  // namespace rein::host
