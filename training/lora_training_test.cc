// Training of adapters: one step beside PEFT's, and what policy, critic and offline trainers do with them.
#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/lora.h"
#include "models/safetensors.h"
#include "training/rl_trainer.h"
#include "training/sequence_forward.h"
#include "training/step.h"
#include "training/supervised_loss.h"
#include "training/tiny_llava.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

using ::testing::HasSubstr;

std::filesystem::path Fixture(const std::string& name) {
  return std::filesystem::path(REIN_SOURCE_DIR) / "tests" / "fixtures" / name;
}

std::map<std::string, at::Tensor> Read(const std::filesystem::path& file) {
  const auto tensors = models::ReadSafetensors(file);
  EXPECT_TRUE(tensors.ok()) << tensors.status();
  return {tensors->begin(), tensors->end()};
}

double MaxDifference(const at::Tensor& a, const at::Tensor& b) { return (a - b).abs().max().item<double>(); }

// See tests/fixtures/training/make_lora_step.py: three sequences with one, two and no pictures, of which the
// last four tokens are the response.
std::vector<Sequence> FixtureSequences(const std::map<std::string, at::Tensor>& data) {
  constexpr int64_t kResponse = 4, kPlaceholders = 4;
  const at::Tensor ids = data.at("token_ids").to(at::kInt).contiguous();
  std::vector<Sequence> sequences;
  int64_t start = 0, picture = 0;
  for (const int64_t pictures : {1, 2, 0}) {
    const int64_t length = data.at("lengths")[static_cast<int64_t>(sequences.size())].item<int64_t>();
    const int32_t* tokens = ids.const_data_ptr<int32_t>() + start;
    Sequence sequence{
        "row", {tokens, tokens + length - kResponse}, {tokens + length - kResponse, tokens + length}, {}};
    for (int64_t i = 0; i < pictures; ++i, ++picture) {
      const at::Tensor pixels = data.at("pixels").slice(0, picture, picture + 1);
      sequence.images.push_back(std::make_shared<models::ProcessedImage>(
          models::ProcessedImage{.pixels = pixels, .feature_count = kPlaceholders}));
    }
    sequences.push_back(std::move(sequence));
    start += length;
  }
  return sequences;
}

TEST(LoraStep, IsThatOfPeft) {
  const auto model = models::LoadModel(Fixture("models/llava/plain")).value();
  const auto data = Read(Fixture("models/llava/plain") / "expected.safetensors");
  const auto expected = Read(Fixture("training/lora_step") / "expected.safetensors");
  const models::LoraOptions options{
      .rank = 4, .alpha = 6, .targets = {"q_proj", "v_proj", "gate_proj", "down_proj"}};
  auto trainable = PrepareTraining(*model, {"vision", "projector"}, options);
  ASSERT_TRUE(trainable.ok()) << trainable.status();
  models::Lora& lora = *trainable->lora;
  const auto start = lora.Read(Fixture("training/lora_step") / "start");
  ASSERT_TRUE(start.ok()) << start.status();
  lora.Set(*start);

  OptimizerOptions adam;
  adam.learning_rate = 1e-2;
  adam.warmup_ratio = 0;
  adam.gradient_clip = 0;
  AdamW optimizer(trainable->parameters, adam);
  SequenceForward forward(model.get(), trainable->images_frozen);
  EXPECT_TRUE(trainable->images_frozen);
  const std::vector<Sequence> sequences = FixtureSequences(data);
  std::vector<const Sequence*> pointers;
  for (const Sequence& sequence : sequences) pointers.push_back(&sequence);
  const LossPart part = SupervisedLoss(forward, pointers);
  const auto outcome = TakeStep(optimizer, &lora, absl::MakeSpan(&part, 1), 20, 1, nullptr);
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_NEAR(outcome->losses[0], expected.at("loss").item<double>(), 1e-5);

  for (const auto& [name, value] : lora.parameters()) {
    const size_t end = name.rfind(".lora_");
    const std::string stored =
        "adapter.base_model.model." + models::PeftLayerName(*model, name.substr(0, end)) + name.substr(end);
    EXPECT_LT(MaxDifference(value.detach(), expected.at(stored)), 1e-5) << name;
  }
  int merged = 0;
  for (const auto& [name, value] : model->tensors()) {
    const auto found = expected.find("merged." + name);
    if (found == expected.end()) continue;
    ++merged;
    EXPECT_LT(MaxDifference(value.detach(), found->second), 1e-5) << name;
  }
  EXPECT_EQ(merged, 3);
  const c10::NoGradGuard no_grad;
  int64_t row = 0;
  for (const Sequence* sequence : pointers) {
    const auto output = forward.Run({&sequence, 1}, Positions::kLast);
    ASSERT_TRUE(output.ok());
    row += ForwardTokens(*sequence, Positions::kLast);
    EXPECT_LT(MaxDifference(model->Logits(output->hidden)[0], expected.at("logits")[row - 1]), 1e-4);
  }
}

std::vector<Sequence> Sequences() {
  const auto first = TinyPicture(1);
  return {TinySequence("a", 1, 4, first), TinySequence("b", 2, 1, first),
          TinySequence("c", 3, 7, TinyPicture(2))};
}

std::vector<PolicySequence> PolicyBatch() {
  std::vector<PolicySequence> batch;
  for (Sequence& sequence : Sequences()) {
    const size_t length = sequence.response.size();
    batch.push_back({std::move(sequence), std::vector<float>(length, -5.5f), std::vector<float>(length, 0.5f),
                     1.0 / (3.0 * static_cast<double>(length))});
  }
  return batch;
}

PolicyOptions LoraPolicy(double dropout) {
  PolicyOptions options;
  options.optimizer.learning_rate = 1e-2;
  options.optimizer.warmup_ratio = 0;
  options.lora = {.rank = 2, .alpha = 4, .dropout = dropout};
  return options;
}

// The log-probabilities of the model after `steps` steps.
std::vector<std::vector<float>> TrainPolicy(models::VisionLanguageModel& model, const PolicyOptions& options,
                                            int steps) {
  const auto trainer = PolicyTrainer::Create(&model, TinyAllowed(), options);
  EXPECT_TRUE(trainer.ok()) << trainer.status();
  for (int step = 0; step < steps; ++step) {
    const auto metrics = (*trainer)->Step(PolicyBatch(), {}, steps, nullptr);
    EXPECT_TRUE(metrics.ok()) << metrics.status();
  }
  return *ResponseLogProbs(model, Sequences(), 1, TinyAllowed(), 4096);
}

TEST(LoraPolicy, LearnsByItsAdaptersAloneAndLeavesTheMergedWeights) {
  const auto model = MakeTinyModel("model");
  const models::NamedTensors before = CopyTensors(*model);
  const auto start = *ResponseLogProbs(*model, Sequences(), 1, TinyAllowed(), 4096);
  const auto trained = TrainPolicy(*model, LoraPolicy(0), 10);
  EXPECT_GT(trained[0][0], start[0][0] + 0.05) << "advantages are positive";
  int changed = 0;
  for (size_t i = 0; i < before.size(); ++i) {
    const bool same = at::equal(before[i].second, model->tensors()[i].second);
    changed += same ? 0 : 1;
    EXPECT_EQ(same, before[i].first.find("proj.weight") == std::string::npos ||
                        before[i].first.find("vision_tower") != std::string::npos)
        << before[i].first;
  }
  EXPECT_EQ(changed, 14);
}

TEST(LoraPolicy, KeepsOptimizerStateForAdaptersOnly) {
  const auto model = MakeTinyModel("model");
  const auto trainer = PolicyTrainer::Create(model.get(), TinyAllowed(), LoraPolicy(0)).value();
  int64_t elements = 0;
  for (const auto& [name, value] : trainer->optimizer().parameters()) {
    EXPECT_THAT(name, HasSubstr(".lora_"));
    elements += value.numel();
  }
  EXPECT_EQ(trainer->optimizer().parameters().size(), 28u);
  EXPECT_LT(elements, 5000);
}

TEST(LoraPolicy, DropoutIsTheSameForTheSameSeed) {
  std::vector<std::vector<std::vector<float>>> results;
  for (const uint64_t seed : {1, 1, 2}) {
    const auto model = MakeTinyModel("model");
    PolicyOptions options = LoraPolicy(0.4);
    options.lora.seed = seed;
    options.optimizer.micro_batch_tokens = 1;
    results.push_back(TrainPolicy(*model, options, 3));
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_NE(results[0], results[2]);
}

TEST(LoraPolicy, CheckpointedActivationsGiveTheSameWeightsToTheBit) {
  models::NamedTensors weights[2];
  for (const bool checkpoint : {false, true}) {
    const auto model = MakeTinyModel("model");
    PolicyOptions options = LoraPolicy(0.2);
    options.optimizer.checkpoint_activations = checkpoint;
    TrainPolicy(*model, options, 3);
    weights[checkpoint] = CopyTensors(*model);
  }
  EXPECT_TRUE(SameTensors(weights[0], weights[1]));
}

TEST(CheckpointedPolicy, HasTheSameWeightsToTheBitWithoutAdapters) {
  models::NamedTensors weights[2];
  for (const bool checkpoint : {false, true}) {
    const auto model = MakeTinyModel("model");
    PolicyOptions options;
    options.optimizer.learning_rate = 1e-3;
    options.optimizer.micro_batch_tokens = 30;
    options.optimizer.checkpoint_activations = checkpoint;
    TrainPolicy(*model, options, 3);
    weights[checkpoint] = CopyTensors(*model);
  }
  EXPECT_TRUE(SameTensors(weights[0], weights[1]));
}

TEST(LoraPolicy, AFailedStepLeavesAdaptersAndWeights) {
  const auto model = MakeTinyModel("model");
  const auto trainer = PolicyTrainer::Create(model.get(), TinyAllowed(), LoraPolicy(0)).value();
  ASSERT_TRUE(trainer->Step(PolicyBatch(), {}, 5, nullptr).ok());
  const models::NamedTensors before = CopyTensors(*model);
  std::vector<PolicySequence> batch = PolicyBatch();
  batch[1].advantages[0] = std::nanf("");
  EXPECT_EQ(trainer->Step(batch, {}, 5, nullptr).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(SameTensors(before, CopyTensors(*model)));
}

TEST(LoraCritic, TrainsItsScoreHeadAsWell) {
  const auto model = MakeTinyModel("model");
  model->AddScoreHead(3);
  CriticOptions options;
  options.optimizer.learning_rate = 1e-2;
  options.lora = {.rank = 2, .targets = {"q_proj"}};
  options.freeze = {"vision"};
  const auto trainer = CriticTrainer::Create(model.get(), options).value();
  std::vector<CriticSequence> batch;
  for (Sequence& sequence : Sequences()) {
    const size_t length = sequence.response.size();
    batch.push_back(
        {std::move(sequence), std::vector<float>(length, 0), std::vector<float>(length, 1), 0.05});
  }
  std::vector<double> losses;
  for (int step = 0; step < 8; ++step) losses.push_back(trainer->Step(batch, 8, nullptr)->at("loss"));
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_EQ(trainer->optimizer().parameters().size(), 5u);
  EXPECT_EQ(trainer->optimizer().parameters().back().first, "score_head.weight");
}

TEST(LoraPolicy, NamesATargetThatMatchesNothing) {
  const auto model = MakeTinyModel("model");
  PolicyOptions options = LoraPolicy(0);
  options.lora.targets = {"query"};
  const absl::Status status = PolicyTrainer::Create(model.get(), TinyAllowed(), options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("q_proj"));
}

}  // namespace
}  // namespace rein::training
