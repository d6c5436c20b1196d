#include "actors/generate_under_test.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace rein::host {

v1::GenerateRequest MakeRequest(const std::string& request_id, int64_t step) {
  v1::GenerateRequest request;
  *request.mutable_fence() = TestFence(request_id);
  request.mutable_fence()->set_step(step);
  request.mutable_sampling()->set_temperature(0.7);
  request.mutable_sampling()->set_max_response_tokens(12);
  request.mutable_sampling()->set_top_p(1);
  request.mutable_sampling()->set_seed(5);
  return request;
}

void AddPrompt(v1::GenerateRequest& request, const std::string& id, int samples, const std::string& digest) {
  v1::PromptSpec* prompt = request.add_prompts();
  prompt->mutable_prompt()->set_prompt_id(id);
  prompt->mutable_prompt()->set_question(absl::StrCat("What is ", id, "?"));
  prompt->mutable_prompt()->add_images()->set_digest(digest);
  for (int i = 0; i < samples; ++i) prompt->add_samples(i);
}

Generated Generate(const RoleUnderTest& role, const v1::GenerateRequest& request,
                   const std::function<bool(const v1::GenerateResponse&)>& seen) {
  Generated generated;
  grpc::ClientContext context;
  role.peer().Prepare(context, kPatience);
  const auto stub = v1::Rollout::NewStub(role.peer().channel());
  const auto reader = stub->Generate(&context, request);
  v1::GenerateResponse response;
  while (reader->Read(&response)) {
    if (response.has_sample()) {
      const std::string& id = response.sample().sample_id();
      EXPECT_TRUE(generated.samples.emplace(id, response.sample()).second) << id << " came twice";
    }
    if (response.has_refusal()) generated.refusals[response.refusal().prompt_id()] = response.refusal();
    if (!seen(response)) context.TryCancel();
  }
  generated.status = transport::FinishStatus(role.peer(), reader->Finish());
  return generated;
}

}  // namespace rein::host
