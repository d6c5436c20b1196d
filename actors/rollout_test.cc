// Generation over real connections.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "actors/generate_under_test.h"
#include "actors/host/loaded_model.h"
#include "actors/host/samples.h"
#include "actors/rollout/rollout_role.h"
#include "training/rl_trainer.h"

namespace rein::host {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Tokens and log-probabilities of a sample, exactly.
std::string Columns(const v1::Sample& sample) {
  v1::Sample columns;
  *columns.mutable_response_tokens() = sample.response_tokens();
  *columns.mutable_behaviour_logprobs() = sample.behaviour_logprobs();
  return columns.SerializeAsString();
}

class RolloutTest : public testing::Test {
 protected:
  RolloutTest() : RolloutTest("") {}
  explicit RolloutTest(const std::string& job)
      : model_(MakeModelFolder("policy", 1, false)),
        role_(rollout::MakeRole, TestAddress("rollout", "rollout"), kRolloutJob + job) {
    digest_ = role_.coordinator().AddPicture(training::TinyPng(10, 200, 30));
  }

  void SetUp() override { role_.MustConfigure(model_); }

  v1::GenerateRequest Request(const std::string& id, int prompts, int samples, int64_t step = 1) {
    v1::GenerateRequest request = MakeRequest(id, step);
    for (int i = 0; i < prompts; ++i) AddPrompt(request, absl::StrCat("p", i), samples, digest_);
    return request;
  }
  // When nothing runs any more.
  double Counter(const std::string& name) {
    EXPECT_EQ(role_.host().executor().WaitIdle(absl::Now() + kPatience), absl::OkStatus());
    return role_.host().counters().All()[name];
  }
  absl::Status DrainRole() {
    v1::DrainRequest request;
    *request.mutable_fence() = TestFence("drain");
    const auto stub = v1::Actor::NewStub(role_.peer().channel());
    return transport::Call(role_.peer(), *stub, &v1::Actor::Stub::Drain, request, kPatience).status();
  }
  // Status of a call that must not start.
  absl::Status Refused(const v1::GenerateRequest& request) {
    const Generated generated = Generate(role_, request);
    EXPECT_THAT(generated.samples, IsEmpty());
    return generated.status;
  }

  const std::filesystem::path model_;
  RoleUnderTest role_;
  std::string digest_;
};

TEST_F(RolloutTest, GeneratesSamplesWithAllTheirColumns) {
  const Generated generated = Generate(role_, Request("a", 3, 2));
  ASSERT_EQ(generated.status, absl::OkStatus());
  ASSERT_THAT(generated.samples, SizeIs(6));
  const auto processor = models::Processor::Load(model_);
  for (const auto& [id, sample] : generated.samples) {
    EXPECT_EQ(sample.sample_id().substr(0, 2), sample.prompt_id());
    const v1::Sample expected =
        MakeSample(id, model_, absl::StrCat("What is ", sample.prompt_id(), "?"), "", digest_);
    EXPECT_EQ(sample.question(), expected.question());
    EXPECT_THAT(sample.prompt_tokens(), testing::ElementsAreArray(expected.prompt_tokens()));
    ASSERT_THAT(sample.images(), SizeIs(1));
    EXPECT_EQ(sample.images(0).digest(), digest_);
    const int length = sample.response_tokens_size();
    ASSERT_GE(length, 1);
    EXPECT_EQ(sample.behaviour_logprobs_size(), length);
    const bool ended = sample.response_tokens(length - 1) == training::kTinyEnd;
    EXPECT_EQ(sample.finish_reason(), ended ? v1::FINISH_REASON_STOP : v1::FINISH_REASON_LENGTH);
    EXPECT_TRUE(ended || length == 12) << length;
    EXPECT_EQ(sample.answer(), (*processor)->Decode(sample.response_tokens()));
    EXPECT_EQ(sample.first_version().number(), 0);
    EXPECT_EQ(sample.last_version().coordinator_epoch(), 0u);
  }
  EXPECT_EQ(Counter("samples"), 6);
  EXPECT_EQ(role_.coordinator().pictures_served(), 1);
}

TEST_F(RolloutTest, BehaviourLogProbabilitiesAreThoseOfTheTrainingForward) {
  const Generated generated = Generate(role_, Request("a", 4, 3));
  ASSERT_THAT(generated.samples, SizeIs(12));
  Configuration configuration;
  configuration.model = model_;
  LoadedModel loaded = *LoadRoleModel(configuration);
  std::vector<training::Sequence> sequences;
  for (const auto& [id, sample] : generated.samples) {
    const auto sequence = ToSequence(sample, loaded.model->shape(), role_.host().images());
    ASSERT_TRUE(sequence.ok()) << sequence.status();
    sequences.push_back(*sequence);
  }
  const auto expected = training::ResponseLogProbs(
      *loaded.model, sequences, 0.7, loaded.processor->AllowedTokens(loaded.model->shape().vocab_size), 200);
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (size_t i = 0; i < sequences.size(); ++i) {
    const v1::Sample& sample = generated.samples.at(sequences[i].id);
    for (int t = 0; t < sample.behaviour_logprobs_size(); ++t) {
      EXPECT_NEAR(sample.behaviour_logprobs(t), (*expected)[i][t], 1e-4) << sequences[i].id << ", " << t;
    }
  }
}

TEST_F(RolloutTest, ASampleIsTheSameWhateverElseIsGenerated) {
  const Generated many = Generate(role_, Request("a", 6, 4, /*step=*/1));
  v1::GenerateRequest request = Request("b", 3, 4, /*step=*/2);
  request.mutable_prompts()->DeleteSubrange(0, 2);
  request.mutable_prompts(0)->clear_samples();
  request.mutable_prompts(0)->add_samples(3);
  const Generated one = Generate(role_, request);
  ASSERT_THAT(one.samples, SizeIs(1));
  ASSERT_TRUE(one.samples.contains("p2/3"));
  EXPECT_THAT(one.samples.at("p2/3").response_tokens(),
              testing::ElementsAreArray(many.samples.at("p2/3").response_tokens()));
  EXPECT_NE(Columns(many.samples.at("p2/3")), Columns(many.samples.at("p2/2")));
}

TEST_F(RolloutTest, GreedyAnswersOfOnePromptAgree) {
  v1::GenerateRequest request = Request("a", 1, 2);
  request.mutable_sampling()->set_temperature(0);
  request.mutable_sampling()->clear_top_p();
  const Generated generated = Generate(role_, request);
  ASSERT_THAT(generated.samples, SizeIs(2));
  EXPECT_EQ(Columns(generated.samples.at("p0/0")), Columns(generated.samples.at("p0/1")));
}

TEST_F(RolloutTest, RefusesAPromptThatCannotBeAdmittedAndGeneratesTheOthers) {
  v1::GenerateRequest request = Request("a", 5, 2);
  const std::string broken = role_.coordinator().AddPicture("not a picture");
  request.mutable_prompts(1)->mutable_prompt()->mutable_images(0)->set_digest(broken);
  request.mutable_prompts(2)->mutable_prompt()->mutable_images(0)->set_digest(std::string(64, '0'));
  request.mutable_prompts(3)->mutable_prompt()->set_question(std::string(80, 'x'));
  const Generated generated = Generate(role_, request);
  ASSERT_EQ(generated.status, absl::OkStatus());
  EXPECT_THAT(generated.samples, SizeIs(4));
  ASSERT_THAT(generated.refusals, SizeIs(3));
  EXPECT_EQ(generated.refusals.at("p1").code(), static_cast<int>(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(generated.refusals.at("p1").message(), HasSubstr(broken));
  EXPECT_EQ(generated.refusals.at("p2").code(), static_cast<int>(absl::StatusCode::kNotFound));
  EXPECT_THAT(generated.refusals.at("p3").message(), HasSubstr("64 are allowed"));
  EXPECT_EQ(Counter("refusals"), 3);
}

TEST_F(RolloutTest, AnswersARepetitionFromMemoryUntilANewerStepComes) {
  const v1::GenerateRequest request = Request("a", 3, 2);
  const Generated first = Generate(role_, request);
  const double tokens = Counter("tokens");
  const Generated second = Generate(role_, request);
  EXPECT_EQ(second.status, absl::OkStatus());
  ASSERT_THAT(second.samples, SizeIs(6));
  for (const auto& [id, sample] : first.samples) EXPECT_EQ(Columns(second.samples.at(id)), Columns(sample));
  EXPECT_EQ(Counter("tokens"), tokens);

  // Other sampling options ask for other samples.
  v1::GenerateRequest greedy = request;
  greedy.mutable_sampling()->set_temperature(0);
  Generate(role_, greedy);
  EXPECT_EQ(Counter("samples"), 12);
  Generate(role_, Request("b", 1, 1, /*step=*/2));
  EXPECT_EQ(Counter("samples"), 13);
  EXPECT_THAT(Generate(role_, request).samples, SizeIs(6));
  EXPECT_EQ(Counter("samples"), 19);
}

TEST_F(RolloutTest, TwoCallsForTheSameSamplesShareThem) {
  v1::GenerateRequest request = Request("a", 4, 4);
  request.mutable_sampling()->set_max_response_tokens(100);
  Generated other;
  std::thread thread([&] { other = Generate(role_, request); });
  const Generated mine = Generate(role_, request);
  thread.join();
  ASSERT_THAT(mine.samples, SizeIs(16));
  ASSERT_THAT(other.samples, SizeIs(16));
  for (const auto& [id, sample] : mine.samples) EXPECT_EQ(Columns(other.samples.at(id)), Columns(sample));
  EXPECT_EQ(Counter("samples"), 16);
}

TEST_F(RolloutTest, WorkOfACallerThatIsGoneGoesOnForItsStep) {
  v1::GenerateRequest request = Request("a", 6, 4);
  request.mutable_sampling()->set_max_response_tokens(100);
  const Generated cut = Generate(role_, request, [](const v1::GenerateResponse&) { return false; });
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kCancelled);
  EXPECT_THAT(Generate(role_, request).samples, SizeIs(24));
  EXPECT_EQ(Counter("samples"), 24);
}

TEST_F(RolloutTest, WorkOfACallerThatIsGoneEndsWithItsStep) {
  v1::GenerateRequest request = Request("a", 1, 400);
  request.mutable_sampling()->set_max_response_tokens(100);
  const Generated cut = Generate(role_, request, [](const v1::GenerateResponse&) { return false; });
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kCancelled);
  const Generated next = Generate(role_, Request("b", 1, 1, /*step=*/2));
  EXPECT_THAT(next.samples, SizeIs(1));
  EXPECT_LT(Counter("samples"), 401);
}

TEST_F(RolloutTest, ANewerEpochEndsTheCallsOfTheOneBefore) {
  v1::GenerateRequest request = Request("a", 1, 400);
  request.mutable_sampling()->set_max_response_tokens(100);
  absl::Notification runs;
  Generated old;
  std::thread thread([&] {
    old = Generate(role_, request, [&](const v1::GenerateResponse&) {
      if (!runs.HasBeenNotified()) runs.Notify();
      return true;
    });
  });
  runs.WaitForNotification();
  v1::GenerateRequest newer = Request("b", 1, 1);
  newer.mutable_fence()->set_coordinator_epoch(2);
  EXPECT_THAT(Generate(role_, newer).samples, SizeIs(1));
  thread.join();
  EXPECT_EQ(old.status.code(), absl::StatusCode::kAborted);
  EXPECT_THAT(std::string(old.status.message()), HasSubstr("epoch 2"));
  EXPECT_EQ(Refused(request).code(), absl::StatusCode::kAborted);
}

TEST_F(RolloutTest, RefusesToStartWithOtherWeightsThanWanted) {
  v1::GenerateRequest request = Request("a", 1, 1);
  request.mutable_weights()->set_coordinator_epoch(1);
  request.mutable_weights()->set_number(3);
  const absl::Status status = Refused(request);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("version 1.3"), HasSubstr("0.0")));
}

TEST_F(RolloutTest, RefusesMorePromptsOrSamplesThanItTakesAtOnce) {
  absl::Status status = Refused(Request("a", 4097, 1));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("4097"), HasSubstr("at most 4096")));
  status = Refused(Request("a", 1, 65537));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("at most 65536"));
}

TEST_F(RolloutTest, RefusesBadCalls) {
  const auto with = [this](const std::function<void(v1::GenerateRequest&)>& change) {
    v1::GenerateRequest request = Request("a", 2, 2);
    change(request);
    const absl::Status status = Refused(request);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(with([](auto& r) { r.mutable_sampling()->set_temperature(-1); }),
              HasSubstr("temperature is -1"));
  EXPECT_THAT(with([](auto& r) { r.mutable_sampling()->set_max_response_tokens(101); }),
              HasSubstr("1 and 100"));
  EXPECT_THAT(with([](auto& r) { r.clear_sampling(); }), HasSubstr("max_response_tokens is 0"));
  EXPECT_THAT(with([](auto& r) { r.mutable_sampling()->set_top_p(2); }), HasSubstr("top_p is 2"));
  EXPECT_THAT(with([](auto& r) { r.mutable_prompts(1)->mutable_prompt()->set_prompt_id("p0"); }),
              HasSubstr("'p0' stands twice"));
  EXPECT_THAT(with([](auto& r) { r.mutable_prompts(1)->mutable_prompt()->clear_prompt_id(); }),
              HasSubstr("no prompt_id"));
  EXPECT_THAT(with([](auto& r) { r.mutable_prompts(1)->clear_samples(); }),
              AllOf(HasSubstr("'p1'"), HasSubstr("no samples")));
  EXPECT_THAT(with([](auto& r) { r.mutable_prompts(1)->add_samples(1); }), HasSubstr("twice"));
}

TEST_F(RolloutTest, DrainingFinishesWhatRunsAndTakesNoMore) {
  v1::GenerateRequest request = Request("a", 2, 20);
  request.mutable_sampling()->set_max_response_tokens(100);
  absl::Notification runs;
  Generated running;
  std::thread thread([&] {
    running = Generate(role_, request, [&](const v1::GenerateResponse&) {
      if (!runs.HasBeenNotified()) runs.Notify();
      return true;
    });
  });
  runs.WaitForNotification();
  EXPECT_EQ(DrainRole(), absl::OkStatus());
  EXPECT_EQ(Counter("samples"), 40);
  thread.join();
  EXPECT_EQ(running.status, absl::OkStatus());
  EXPECT_THAT(running.samples, SizeIs(40));
  EXPECT_EQ(Refused(Request("b", 1, 1)).code(), absl::StatusCode::kUnavailable);
}

TEST_F(RolloutTest, DrainingDropsWhatNobodyWaitsFor) {
  v1::GenerateRequest request = Request("a", 1, 400);
  request.mutable_sampling()->set_max_response_tokens(100);
  Generate(role_, request, [](const v1::GenerateResponse&) { return false; });
  EXPECT_EQ(DrainRole(), absl::OkStatus());
  EXPECT_LT(Counter("samples"), 400);
}

class Deterministic : public RolloutTest {
 protected:
  Deterministic() : RolloutTest("deterministic: true\n") {}
};

TEST_F(Deterministic, TwoProcessesGiveTheSameToTheBit) {
  v1::GenerateRequest request = Request("a", 12, 3);
  request.mutable_sampling()->set_max_response_tokens(40);
  const Generated first = Generate(role_, request);
  RoleUnderTest other(rollout::MakeRole, TestAddress("rollout", "rollout"),
                      std::string(kRolloutJob) + "deterministic: true\n");
  other.MustConfigure(model_);
  other.coordinator().AddPicture(training::TinyPng(10, 200, 30));
  const Generated second = Generate(other, request);
  ASSERT_THAT(second.samples, SizeIs(36));
  for (const auto& [id, sample] : first.samples) EXPECT_EQ(Columns(second.samples.at(id)), Columns(sample));
}

TEST(Rollout, TakesNoCallsBeforeItIsConfigured) {
  RoleUnderTest role(rollout::MakeRole, TestAddress("rollout", "rollout"), kRolloutJob);
  EXPECT_EQ(Generate(role, MakeRequest("a")).status.code(), absl::StatusCode::kFailedPrecondition);
}

TEST(Rollout, BrokenWeightsEndTheCallWithTheSampleTheyBroke) {
  const auto folder = MakeModelFolder("policy", 1, false);
  auto model = models::LoadModel(folder);
  ASSERT_TRUE(model.ok()) << model.status();
  for (const auto& [name, tensor] : (*model)->tensors()) {
    // Weights that are not finite are refused: these make logits infinite.
    if (absl::EndsWith(name, "model.norm.weight")) tensor.fill_(std::numeric_limits<float>::max());
  }
  const auto broken = training::FreshFolder("broken") / "model";
  ASSERT_EQ(models::SaveModel(**model, broken), absl::OkStatus());
  RoleUnderTest role(rollout::MakeRole, TestAddress("rollout", "rollout"), kRolloutJob);
  role.MustConfigure(broken);
  v1::GenerateRequest request = MakeRequest("a");
  AddPrompt(request, "p0", 2, role.coordinator().AddPicture(training::TinyPng(1, 2, 3)));
  for (int i = 0; i < 2; ++i) {
    const Generated generated = Generate(role, request);
    EXPECT_EQ(generated.status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(generated.status.message()), HasSubstr("p0/0"));
  }
}

}  // namespace
}  // namespace rein::host
