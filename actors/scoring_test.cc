// Reference and scorers over real connections.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>

#include "actors/host/loaded_model.h"
#include "actors/host/samples.h"
#include "actors/reference/reference_role.h"
#include "actors/role_under_test.h"
#include "actors/scorer/scorer_role.h"
#include "base/file.h"
#include "rein/v1/scorer.grpc.pb.h"
#include "training/rl_trainer.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;

constexpr char kReferenceJob[] = "actors: [{role: reference, name: reference, threads: 1}]\n";

std::string ScorerJob(const std::filesystem::path& policy) {
  return "actors: [{role: policy, name: policy, model: " + policy.string() +
         "}, {role: cost, name: cost, threads: 1}]\n";
}

absl::StatusOr<v1::LogProbsResponse> LogProbs(RoleUnderTest& role, const std::vector<v1::Sample>& samples) {
  v1::LogProbsRequest request;
  *request.mutable_fence() = TestFence("logprobs");
  request.mutable_samples()->Assign(samples.begin(), samples.end());
  const auto stub = v1::Reference::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Reference::Stub::LogProbs, request, kPatience);
}

absl::StatusOr<v1::ScoreResponse> Score(RoleUnderTest& role, const std::vector<v1::Sample>& samples) {
  v1::ScoreRequest request;
  *request.mutable_fence() = TestFence("score");
  request.mutable_samples()->Assign(samples.begin(), samples.end());
  const auto stub = v1::Scorer::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Scorer::Stub::Score, request, kPatience);
}

absl::StatusOr<v1::DescribeResponse> Describe(RoleUnderTest& role) {
  const auto stub = v1::Scorer::NewStub(role.peer().channel());
  return transport::Call(role.peer(), *stub, &v1::Scorer::Stub::Describe, v1::DescribeRequest(), kPatience);
}

TEST(Reference, AnswersWhatTheModelComputes) {
  const auto model = MakeModelFolder("reference", 1, false);
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"),
                     std::string(kReferenceJob) + "rollout: {temperature: 0.7}\n");
  role.MustConfigure(model);
  const std::string digest = role.coordinator().AddPicture(training::TinyPng(10, 200, 30));
  const std::vector<v1::Sample> samples = {MakeSample("p/0", model, "What is it?", "red", digest),
                                           MakeSample("p/1", model, "What is it?", "a blue one", digest)};
  const auto response = LogProbs(role, samples);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->logprobs_size(), 2);
  EXPECT_EQ(role.coordinator().pictures_served(), 1);

  Configuration configuration;
  configuration.model = model;
  LoadedModel loaded = *LoadRoleModel(configuration);
  std::vector<training::Sequence> sequences;
  for (const v1::Sample& sample : samples) {
    sequences.push_back(*ToSequence(sample, loaded.model->shape(), role.host().images()));
  }
  const auto expected = training::ResponseLogProbs(
      *loaded.model, sequences, 0.7, loaded.processor->AllowedTokens(loaded.model->shape().vocab_size), 64);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(response->logprobs(i).sample_id(), samples[i].sample_id());
    ASSERT_EQ(response->logprobs(i).values_size(), samples[i].response_tokens_size());
    for (int t = 0; t < response->logprobs(i).values_size(); ++t) {
      EXPECT_NEAR(response->logprobs(i).values(t), (*expected)[i][t], 1e-5);
      EXPECT_LT(response->logprobs(i).values(t), 0);
    }
  }
}

TEST(LoadRoleModel, ShowsHowFarItIs) {
  Configuration configuration;
  configuration.model = MakeModelFolder("reference", 1, false);
  std::vector<std::string> shown;
  configuration.show = [&](const std::string& activity) { shown.push_back(activity); };
  ASSERT_TRUE(LoadRoleModel(configuration).ok());
  EXPECT_THAT(shown, testing::Contains(HasSubstr("Loading model 100 %")));
}

TEST(Reference, NamesWeightsThatAreNotFiniteWhenItIsConfigured) {
  const auto model = models::LoadModel(MakeModelFolder("reference", 1, false));
  ASSERT_TRUE(model.ok()) << model.status();
  (*model)->tensors()[2].second.view({-1})[0] = std::numeric_limits<float>::quiet_NaN();
  const auto broken = training::FreshFolder("broken") / "model";
  ASSERT_EQ(models::SaveModel(**model, broken), absl::OkStatus());
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"), kReferenceJob);
  const absl::Status status = role.Configure(broken).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr((*model)->tensors()[2].first));
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 of "));
  EXPECT_EQ(role.Configure(MakeModelFolder("whole", 1, false)).status(), absl::OkStatus());
}

TEST(Reference, AnswersABadSampleWithItsReasonAndTheOthersWithNumbers) {
  const auto model = MakeModelFolder("reference", 1, false);
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"), kReferenceJob);
  role.MustConfigure(model);
  const std::string digest = role.coordinator().AddPicture(training::TinyPng(1, 2, 3));
  const std::string broken = role.coordinator().AddPicture("not a picture");
  std::vector<v1::Sample> samples;
  for (const char* id : {"good", "image", "gone", "placeholders", "token", "empty", "unsampled"}) {
    samples.push_back(MakeSample(id, model, "Q", "answer", digest));
  }
  samples[1].mutable_images(0)->set_digest(broken);
  samples[2].mutable_images(0)->set_digest(std::string(64, '0'));
  samples[3].clear_images();
  samples[4].set_response_tokens(0, training::kTinyVocabulary);
  samples[5].clear_response_tokens();
  samples[6].set_response_tokens(0, training::kTinyImage);
  const auto response = LogProbs(role, samples);
  ASSERT_TRUE(response.ok()) << response.status();
  ASSERT_EQ(response->logprobs_size(), 1);
  EXPECT_EQ(response->logprobs(0).sample_id(), "good");
  std::map<std::string, v1::SampleError> errors;
  for (const v1::SampleError& error : response->errors()) errors[error.sample_id()] = error;
  ASSERT_EQ(errors.size(), 6u);
  EXPECT_THAT(errors["image"].message(), HasSubstr(broken));
  EXPECT_EQ(errors["gone"].code(), static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_THAT(errors["placeholders"].message(), HasSubstr("4 image placeholders"));
  EXPECT_THAT(errors["token"].message(), HasSubstr("264"));
  EXPECT_THAT(errors["empty"].message(), HasSubstr("no response tokens"));
  EXPECT_TRUE(errors.contains("unsampled"));
}

TEST(Reference, RefusesABatchWithTheSameSampleTwice) {
  const auto model = MakeModelFolder("reference", 1, false);
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"), kReferenceJob);
  role.MustConfigure(model);
  const v1::Sample sample = MakeSample("p/0", model, "Q", "A", std::string(64, '0'));
  EXPECT_EQ(LogProbs(role, {sample, sample}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(Reference, NamesWhatIsWrongWithAModelFolder) {
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"), kReferenceJob);
  EXPECT_THAT(std::string(role.Configure("/no/such/folder").status().message()),
              HasSubstr("/no/such/folder"));
  EXPECT_EQ(role.Configure("").status().code(), absl::StatusCode::kInvalidArgument);
  const auto model = MakeModelFolder("truncated", 1, false);
  std::filesystem::resize_file(model / "model.safetensors", 1000);
  const absl::Status status = role.Configure(model).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr((model / "model.safetensors").string()));
  const auto bare = MakeModelFolder("bare", 1, false);
  std::filesystem::remove(bare / "tokenizer.json");
  EXPECT_THAT(std::string(role.Configure(bare).status().message()), HasSubstr("tokenizer.json"));
}

TEST(Reference, RefusesADeviceThatIsNotThere) {
  const auto model = MakeModelFolder("reference", 1, false);
  RoleUnderTest role(reference::MakeRole, TestAddress("reference", "reference"),
                     "actors: [{role: reference, name: reference, device: 'gpu0'}]\n");
  const absl::Status status = role.Configure(model).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cpu or cuda:N"));
}

TEST(Scorer, TakesTokensWhereTheTokenizersAreEqual) {
  const auto policy = MakeModelFolder("policy", 1, false);
  const auto cost = MakeModelFolder("cost", 2, true);
  RoleUnderTest role(scorer::MakeRole, TestAddress("cost", "cost"), ScorerJob(policy));
  EXPECT_EQ(Describe(role).status().code(), absl::StatusCode::kFailedPrecondition);
  const auto info = role.Configure(cost);
  ASSERT_TRUE(info.ok()) << info.status();
  const auto description = Describe(role);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->input(), v1::SCORER_INPUT_TOKENS);
  EXPECT_EQ(description->digest(), info->digest());
  EXPECT_EQ(description->name(), "cost");
  const std::string digest = role.coordinator().AddPicture(training::TinyPng(1, 2, 3));
  const auto sample = MakeSample("p/0", cost, "Q", "answer", digest);
  const auto first = Score(role, {sample});
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->scores_size(), 1) << first->DebugString();
  EXPECT_EQ(first->scorer_digest(), info->digest());
  const auto second = Score(role, {sample, MakeSample("p/1", cost, "Q", "other words", digest)});
  ASSERT_EQ(second->scores_size(), 2);
  EXPECT_NEAR(second->scores(0).value(), first->scores(0).value(), 1e-5);
  EXPECT_NE(second->scores(1).value(), first->scores(0).value());
}

TEST(Scorer, TokenisesAnewWhereTheTokenizersDiffer) {
  const auto policy = MakeModelFolder("policy", 1, false);
  const auto tokenizer = ReadFile(policy / "tokenizer.json");
  ASSERT_EQ(WriteFileAtomically(policy / "tokenizer.json", *tokenizer + "\n"), absl::OkStatus());
  const auto cost = MakeModelFolder("cost", 2, true);
  RoleUnderTest text(scorer::MakeRole, TestAddress("cost", "cost"), ScorerJob(policy));
  text.MustConfigure(cost);
  ASSERT_EQ(Describe(text)->input(), v1::SCORER_INPUT_TEXT);
  const std::string digest = text.coordinator().AddPicture(training::TinyPng(1, 2, 3));
  v1::Sample sample = MakeSample("p/0", cost, "Q", "answer", digest);
  const auto with_own_tokens = Score(text, {sample});
  ASSERT_TRUE(with_own_tokens.ok()) << with_own_tokens.status();
  // The policy's tokens mean nothing to this scorer.
  sample.clear_prompt_tokens();
  sample.mutable_response_tokens()->Set(0, 1 << 20);
  const auto response = Score(text, {sample});
  ASSERT_EQ(response->scores_size(), 1) << response->DebugString();
  EXPECT_EQ(response->scores(0).value(), with_own_tokens->scores(0).value());
  // A cut answer has no end token: another text to the scorer.
  sample.set_finish_reason(v1::FINISH_REASON_LENGTH);
  EXPECT_NE(Score(text, {sample})->scores(0).value(), response->scores(0).value());
  sample.set_answer("");
  const auto empty = Score(text, {sample});
  ASSERT_EQ(empty->errors_size(), 1);
  EXPECT_EQ(empty->scores_size(), 0);
}

TEST(Scorer, AnswersAScoreThatIsNotFiniteAsAnError) {
  const auto folder = MakeModelFolder("cost", 2, true);
  auto model = models::LoadModel(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const auto& [name, tensor] : (*model)->tensors()) {
    if ((*model)->PartOf(name) == "score_head") tensor.fill_(std::numeric_limits<float>::max());
  }
  const auto broken = training::FreshFolder("broken") / "model";
  ASSERT_EQ(models::SaveModel(**model, broken), absl::OkStatus());
  RoleUnderTest role(scorer::MakeRole, TestAddress("cost", "cost"), ScorerJob(folder));
  role.MustConfigure(broken);
  const std::string digest = role.coordinator().AddPicture(training::TinyPng(1, 2, 3));
  const auto response =
      Score(role, {MakeSample("p/0", folder, "Q", "a", digest), MakeSample("p/1", folder, "Q", "b", digest)});
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->scores_size(), 0);
  ASSERT_EQ(response->errors_size(), 2);
  EXPECT_EQ(response->errors(0).code(), static_cast<int>(absl::StatusCode::kDataLoss));
  EXPECT_THAT(response->errors(0).message(), HasSubstr("p/0"));
}

TEST(Scorer, RefusesAModelWithoutAScoreHead) {
  const auto policy = MakeModelFolder("policy", 1, false);
  RoleUnderTest role(scorer::MakeRole, TestAddress("cost", "cost"), ScorerJob(policy));
  const absl::Status status = role.Configure(policy).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("rein train cost"));
}

}  // namespace
}  // namespace rein::host
