// Adapters of a policy and a critic as a job uses them: publishing, saving, loading.
#include "models/lora.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "absl/strings/str_cat.h"
#include "actors/critic/critic_role.h"
#include "actors/policy/policy_role.h"
#include "actors/reference/reference_role.h"
#include "actors/role_under_test.h"
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

v1::WeightVersion MakeVersion(uint64_t epoch, int64_t number) {
  v1::WeightVersion version;
  version.set_coordinator_epoch(epoch);
  version.set_number(number);
  return version;
}

class LoraPolicy : public testing::Test {
 protected:
  LoraPolicy()
      : model_(MakeModelFolder("policy", 1, false)),
        policy_(policy::MakeRole, TestAddress("policy", "policy"), kPolicyJob) {}

  void SetUp() override {
    policy_.MustConfigure(model_);
    picture_ = policy_.coordinator().AddPicture(training::TinyPng(10, 200, 30));
  }

  // One optimizer step that leads to version `number`.
  void Train(int64_t number) {
    grpc::ClientContext context;
    policy_.peer().Prepare(context, kPatience);
    const auto stub = v1::Policy::NewStub(policy_.peer().channel());
    const auto stream = stub->Train(&context);
    v1::TrainPolicyRequest request;
    *request.mutable_header()->mutable_fence() = TestFence(absl::StrCat("train ", ++requests_));
    request.mutable_header()->set_samples(1);
    *request.mutable_header()->mutable_version() = MakeVersion(1, number);
    request.mutable_header()->set_total_steps(10);
    ASSERT_TRUE(stream->Write(request));
    v1::PolicySample* sample = request.mutable_sample();
    *sample->mutable_sample() = MakeSample("p/0", model_, "what?", "green", picture_);
    const int length = sample->sample().response_tokens_size();
    for (int i = 0; i < length; ++i) sample->add_advantages(1);
    sample->set_token_weight(1.0 / length);
    ASSERT_TRUE(stream->Write(request));
    stream->WritesDone();
    for (v1::TrainProgress progress; stream->Read(&progress);) {
    }
    const grpc::Status status = stream->Finish();
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  uint64_t Fingerprint(int64_t number) {
    v1::PublishRequest request;
    *request.mutable_fence() = TestFence(absl::StrCat("publish ", ++requests_));
    *request.mutable_version() = MakeVersion(1, number);
    const auto stub = v1::Policy::NewStub(policy_.peer().channel());
    const auto response =
        transport::Call(policy_.peer(), *stub, &v1::Policy::Stub::Publish, request, kPatience);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? response->fingerprint() : 0;
  }

  v1::SaveStateResponse Save(const std::filesystem::path& folder) {
    v1::SaveStateRequest request;
    *request.mutable_fence() = TestFence(absl::StrCat("save ", ++requests_));
    request.set_folder(folder.string());
    const auto stub = v1::State::NewStub(policy_.peer().channel());
    const auto response = transport::Call(policy_.peer(), *stub, &v1::State::Stub::Save, request, kPatience);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.value_or(v1::SaveStateResponse());
  }

  absl::Status Load(const std::filesystem::path& folder, const v1::SaveStateResponse& saved) {
    v1::LoadStateRequest request;
    *request.mutable_fence() = TestFence(absl::StrCat("load ", ++requests_));
    request.set_folder(folder.string());
    *request.mutable_files() = saved.files();
    *request.mutable_version() = saved.version();
    const auto stub = v1::State::NewStub(policy_.peer().channel());
    return transport::Call(policy_.peer(), *stub, &v1::State::Stub::Load, request, kPatience).status();
  }

  const std::filesystem::path model_;
  RoleUnderTest policy_;
  std::string picture_;
  int requests_ = 0;
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
