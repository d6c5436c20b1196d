#include "actors/role_under_test.h"

#include <gtest/gtest.h>

#include "data/image.h"
#include "models/vision_language_model.h"

namespace rein::host {
namespace {

// Roles of one test have a coordinator each.
std::filesystem::path AddressFile(const v1::ActorAddress& address) {
  return training::FreshFolder("run-" + address.name()) / "coordinator.address";
}

}  // namespace

std::filesystem::path MakeModelFolder(const std::string& name, uint64_t seed, bool score_head) {
  const std::filesystem::path folder = training::FreshFolder(name) / "model";
  const std::unique_ptr<models::VisionLanguageModel> model = training::MakeTinyModel(name + "_config", seed);
  if (score_head) model->AddScoreHead(seed);
  EXPECT_EQ(models::SaveModel(*model, folder), absl::OkStatus());
  return folder;
}

RoleUnderTest::RoleUnderTest(const MakeRoleFn& make_role, const v1::ActorAddress& address,
                             const std::string& job_yaml)
    : address_(address), job_(TestJob(job_yaml)), peer_(TestPeer("127.0.0.1:1")) {
  const std::filesystem::path address_file = AddressFile(address);
  coordinator_ = std::make_unique<FakeCoordinator>(address_file, 1);
  auto process = ActorProcess::Start(TestProcess(address_file, address), make_role);
  EXPECT_TRUE(process.ok()) << process.status();
  process_ = *std::move(process);
  peer_ = TestPeer(process_->address());
}

absl::StatusOr<v1::ModelInfo> RoleUnderTest::Configure(const std::filesystem::path& model) {
  v1::ConfigureRequest request;
  *request.mutable_fence() = TestFence("configure");
  *request.mutable_job() = job_;
  *request.mutable_address() = address_;
  request.set_model(model.string());
  request.set_blobs_address(coordinator_->address());
  const auto stub = v1::Actor::NewStub(peer_.channel());
  const auto response = transport::Call(peer_, *stub, &v1::Actor::Stub::Configure, request, kPatience);
  if (!response.ok()) return response.status();
  return response->model();
}

void RoleUnderTest::MustConfigure(const std::filesystem::path& model) {
  const auto info = Configure(model);
  ASSERT_TRUE(info.ok()) << info.status();
}

absl::StatusOr<v1::ReleaseResponse> RoleUnderTest::Release(const v1::Fence& fence) {
  v1::ReleaseRequest request;
  *request.mutable_fence() = fence;
  const auto stub = v1::Actor::NewStub(peer_.channel());
  return transport::Call(peer_, *stub, &v1::Actor::Stub::Release, request, kPatience);
}

v1::ActorStatus RoleUnderTest::Status() {
  const auto stub = v1::Actor::NewStub(peer_.channel());
  return transport::Call(peer_, *stub, &v1::Actor::Stub::GetStatus, v1::ActorStatusRequest(), kPatience)
      .value_or(v1::ActorStatus());
}

v1::Sample MakeSample(const std::string& id, const std::filesystem::path& model, const std::string& question,
                      const std::string& answer, const std::string& image_digest) {
  const auto processor = models::Processor::Load(model);
  EXPECT_TRUE(processor.ok()) << processor.status();
  const auto image = (*processor)->ProcessImage(data::RgbImage{8, 8, data::Pixels(192, 9)});
  const auto prompt = (*processor)->EncodePrompt(question, {*image});
  EXPECT_TRUE(prompt.ok()) << prompt.status();
  v1::Sample sample;
  sample.set_sample_id(id);
  sample.set_prompt_id(id.substr(0, id.find('/')));
  sample.add_images()->set_digest(image_digest);
  sample.mutable_prompt_tokens()->Assign(prompt->begin(), prompt->end());
  const std::vector<int32_t> response = (*processor)->EncodeResponse(answer);
  sample.mutable_response_tokens()->Assign(response.begin(), response.end());
  for (size_t i = 0; i < response.size(); ++i) sample.add_behaviour_logprobs(-5.0f);
  sample.set_finish_reason(v1::FINISH_REASON_STOP);
  sample.set_question(question);
  sample.set_answer(answer);
  return sample;
}

}  // namespace rein::host
