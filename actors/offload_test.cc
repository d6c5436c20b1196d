// Roles that put their weights away between calls: the same answers, the same bits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "actors/generate_under_test.h"
#include "actors/policy_under_test.h"
#include "actors/reference/reference_role.h"
#include "actors/rollout/rollout_role.h"
#include "actors/scorer/scorer_role.h"
#include "models/vision_language_model.h"
#include "rein/v1/scorer.grpc.pb.h"

namespace rein::host {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

int64_t WeightBytes(const std::filesystem::path& model) {
  const auto loaded = models::LoadModel(model).value();
  int64_t bytes = 0;
  for (const auto& [name, tensor] : loaded->tensors()) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

// With `settings` in the policy's entry.
class Policy : public PolicyUnderTest {
 public:
  Policy(const std::string& name, const std::string& settings)
      : PolicyUnderTest(absl::StrCat("actors: [{role: policy, name: ", name, settings,
                                     "}]\n"
                                     "policy_optimizer: {learning_rate: 0.01, warmup_ratio: 0}\n"),
                        name) {}

  using PolicyUnderTest::model_;
  using PolicyUnderTest::policy_;
};

// Below the actor's own folder.
std::string PathOf(const v1::SavedFile& file) { return file.path().substr(file.path().find('/')); }

constexpr const char* kSettings[] = {"", ", lora: {rank: 2, dropout: 0.2}"};

TEST(OffloadOfAPolicy, ChangesNoBitOfWhatItTrainsSavesAndPublishes) {
  for (const std::string settings : kSettings) {
    Policy kept("kept", settings), put_away("put_away", settings + ", offload: true");
    const auto release = [&put_away] {
      const auto released = put_away.policy_.Release();
      ASSERT_TRUE(released.ok()) << released.status();
      EXPECT_GT(released->offloaded_bytes(), 0);
    };
    EXPECT_GT(put_away.policy_.Status().offloaded_bytes(), 0) << "from the start";
    for (Policy* policy : {&kept, &put_away}) policy->Train(1);
    release();
    const auto kept_folder = training::FreshFolder("saved_kept"),
               folder = training::FreshFolder("saved_put_away");
    const v1::SaveStateResponse expected = kept.Save(kept_folder), saved = put_away.Save(folder);
    ASSERT_EQ(saved.files_size(), expected.files_size());
    for (int i = 0; i < saved.files_size(); ++i) {
      EXPECT_EQ(PathOf(saved.files(i)), PathOf(expected.files(i)));
      if (saved.files(i).path().ends_with("adapter_config.json")) continue;  // names the model's folder
      EXPECT_EQ(saved.files(i).crc32c(), expected.files(i).crc32c()) << saved.files(i).path();
    }
    release();
    for (Policy* policy : {&kept, &put_away}) policy->Train(2);
    release();
    EXPECT_EQ(put_away.Fingerprint(2), kept.Fingerprint(2));
    release();
    ASSERT_EQ(put_away.Load(folder, saved), absl::OkStatus());
    release();
    put_away.Train(2);
    EXPECT_EQ(put_away.Fingerprint(2), kept.Fingerprint(2));
  }
}

TEST(OffloadOfAPolicy, PutsWeightsAndMomentsAwayOnceAndShowsIt) {
  Policy policy("put_away", ", offload: true");
  const int64_t weights = WeightBytes(policy.model_);
  EXPECT_EQ(policy.policy_.Status().offloaded_bytes(), weights);
  policy.Train(1);
  EXPECT_EQ(policy.policy_.Status().offloaded_bytes(), 0);
  const auto released = policy.policy_.Release(), again = policy.policy_.Release();
  ASSERT_TRUE(released.ok() && again.ok()) << released.status() << again.status();
  // And two moments of all weights that gradients reach.
  EXPECT_GT(released->offloaded_bytes(), 2 * weights);
  EXPECT_LT(released->offloaded_bytes(), 3 * weights);
  EXPECT_EQ(again->offloaded_bytes(), released->offloaded_bytes());
  EXPECT_EQ(policy.policy_.Status().offloaded_bytes(), released->offloaded_bytes());
}

TEST(OffloadOfAPolicy, IsRefusedWhereItIsNotSetOrNotMeant) {
  Policy kept("kept", "");
  EXPECT_EQ(kept.policy_.Release().status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(kept.policy_.Release().status().message()), HasSubstr("`offload`"));
  Policy policy("put_away", ", offload: true");
  policy.Train(1);
  EXPECT_EQ(policy.policy_.Release(TestFence("old", 0)).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(policy.policy_.Status().offloaded_bytes(), 0);
  RoleUnderTest fresh(reference::MakeRole, TestAddress("reference", "reference"),
                      "actors: [{role: reference, name: reference, offload: true}]\n");
  EXPECT_EQ(fresh.Release().status().code(), absl::StatusCode::kFailedPrecondition) << "not configured";
}

TEST(OffloadOfAScorer, AnswersAsBefore) {
  const std::filesystem::path model = MakeModelFolder("reward", 1, true);
  RoleUnderTest scorer(scorer::MakeRole, TestAddress("reward", "reward"),
                       "actors: [{role: reward, name: reward, offload: true}]\n");
  scorer.MustConfigure(model);
  v1::ScoreRequest request;
  *request.add_samples() = MakeSample("p/0", model, "what?", "green",
                                      scorer.coordinator().AddPicture(training::TinyPng(10, 200, 30)));
  std::vector<double> scores;
  const auto stub = v1::Scorer::NewStub(scorer.peer().channel());
  for (int i = 0; i < 3; ++i) {
    *request.mutable_fence() = TestFence(absl::StrCat("score ", i));
    const auto response = transport::Call(scorer.peer(), *stub, &v1::Scorer::Stub::Score, request, kPatience);
    ASSERT_TRUE(response.ok()) << response.status();
    ASSERT_THAT(response->scores(), SizeIs(1));
    scores.push_back(response->scores(0).value());
    ASSERT_EQ(scorer.Release().value().offloaded_bytes(), WeightBytes(model));
  }
  EXPECT_THAT(scores, testing::Each(scores[0]));
}

std::string RolloutJob(const std::string& name) {
  return absl::StrCat("actors: [{role: rollout, name: ", name,
                      ", threads: 1, offload: ", name == "put_away" ? "true" : "false",
                      "}]\n"
                      "deterministic: true\n"
                      "rollout: {max_response_tokens: 100, max_prompt_tokens: 64, max_batch: 8, "
                      "kv_block_tokens: 4}\n");
}

class OffloadOfARollout : public testing::Test {
 protected:
  OffloadOfARollout() : model_(MakeModelFolder("rollout", 1, false)) {}

  // Puts away where that is its name.
  std::unique_ptr<RoleUnderTest> Rollout(const std::string& name) {
    auto role =
        std::make_unique<RoleUnderTest>(rollout::MakeRole, TestAddress("rollout", name), RolloutJob(name));
    role->MustConfigure(model_);
    picture_ = role->coordinator().AddPicture(training::TinyPng(10, 200, 30));
    return role;
  }
  v1::GenerateRequest Request(int64_t step) {
    v1::GenerateRequest request = MakeRequest(absl::StrCat("generate ", step), step);
    AddPrompt(request, absl::StrCat("p", step), 3, picture_);
    return request;
  }

  const std::filesystem::path model_;
  std::string picture_;
};

TEST_F(OffloadOfARollout, GeneratesAsBeforeWithoutItsOldCache) {
  const auto kept = Rollout("kept"), put_away = Rollout("put_away");
  // Weights, and 8 sequences of 100 + 64 tokens in blocks of 4, one block more each: 2 layers of 2 x 8
  // values.
  const int64_t all = WeightBytes(model_) + 8 * 42 * 4 * 2 * 2 * 2 * 8 * 4;
  for (int64_t step = 1; step < 4; ++step) {
    EXPECT_EQ(put_away->Release().value().offloaded_bytes(), all);
    const Generated expected = Generate(*kept, Request(step)), generated = Generate(*put_away, Request(step));
    ASSERT_EQ(generated.status, absl::OkStatus());
    ASSERT_THAT(generated.samples, SizeIs(3));
    for (const auto& [id, sample] : expected.samples) {
      EXPECT_EQ(generated.samples.at(id).SerializeAsString(), sample.SerializeAsString()) << id;
    }
  }
}

TEST_F(OffloadOfARollout, KeepsUnfinishedSamples) {
  const auto role = Rollout("put_away");
  v1::GenerateRequest request = MakeRequest("generate");
  AddPrompt(request, "p", 64, picture_);
  request.mutable_sampling()->set_max_response_tokens(100);
  // Eight run at a time: most are unfinished when the first is answered.
  int refused = 0;
  const Generated generated = Generate(*role, request, [&](const v1::GenerateResponse&) {
    const auto released = role->Release();
    if (released.ok()) return true;
    EXPECT_EQ(released.status().code(), absl::StatusCode::kUnavailable) << released.status();
    ++refused;
    return true;
  });
  ASSERT_EQ(generated.status, absl::OkStatus());
  EXPECT_THAT(generated.samples, SizeIs(64));
  EXPECT_GT(refused, 0);
  EXPECT_GT(role->Release().value().offloaded_bytes(), 0);
}

}  // namespace
}  // namespace rein::host
