#include "actors/policy_under_test.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "actors/policy/policy_role.h"

namespace rein::host {

v1::WeightVersion MakeVersion(uint64_t epoch, int64_t number) {
  v1::WeightVersion version;
  version.set_coordinator_epoch(epoch);
  version.set_number(number);
  return version;
}

PolicyUnderTest::PolicyUnderTest(const std::string& job_yaml, const std::string& name)
    : model_(MakeModelFolder(name, 1, false)),
      policy_(policy::MakeRole, TestAddress("policy", name), job_yaml) {
  policy_.MustConfigure(model_);
  picture_ = policy_.coordinator().AddPicture(training::TinyPng(10, 200, 30));
}

v1::Fence PolicyUnderTest::NextFence(const std::string& what) {
  return TestFence(absl::StrCat(what, " ", ++requests_));
}

void PolicyUnderTest::Train(int64_t number) {
  grpc::ClientContext context;
  policy_.peer().Prepare(context, kPatience);
  const auto stub = v1::Policy::NewStub(policy_.peer().channel());
  const auto stream = stub->Train(&context);
  v1::TrainPolicyRequest request;
  *request.mutable_header()->mutable_fence() = NextFence("train");
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

uint64_t PolicyUnderTest::Fingerprint(int64_t number) {
  v1::PublishRequest request;
  *request.mutable_fence() = NextFence("publish");
  *request.mutable_version() = MakeVersion(1, number);
  const auto stub = v1::Policy::NewStub(policy_.peer().channel());
  const auto response =
      transport::Call(policy_.peer(), *stub, &v1::Policy::Stub::Publish, request, kPatience);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->fingerprint() : 0;
}

v1::SaveStateResponse PolicyUnderTest::Save(const std::filesystem::path& folder) {
  v1::SaveStateRequest request;
  *request.mutable_fence() = NextFence("save");
  request.set_folder(folder.string());
  const auto stub = v1::State::NewStub(policy_.peer().channel());
  const auto response = transport::Call(policy_.peer(), *stub, &v1::State::Stub::Save, request, kPatience);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.value_or(v1::SaveStateResponse());
}

absl::Status PolicyUnderTest::Load(const std::filesystem::path& folder, const v1::SaveStateResponse& saved) {
  v1::LoadStateRequest request;
  *request.mutable_fence() = NextFence("load");
  request.set_folder(folder.string());
  *request.mutable_files() = saved.files();
  *request.mutable_version() = saved.version();
  const auto stub = v1::State::NewStub(policy_.peer().channel());
  return transport::Call(policy_.peer(), *stub, &v1::State::Stub::Load, request, kPatience).status();
}

}  // namespace rein::host
