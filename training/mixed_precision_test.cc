// Products of linear layers in bfloat16 around weights, optimizer and losses in float32.
#include <ATen/ATen.h>

#include <thread>

#include "gmock/gmock.h"
#include "kernels/ops.h"
#include "kernels/precision.h"
#include "models/family_case.h"
#include "models/folder.h"
#include "models/recomputed.h"
#include "models/safetensors.h"
#include "training/preference_rows.h"
#include "training/rl_trainer.h"
#include "training/supervised.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

using models::FamilyCase;
using ::testing::HasSubstr;

TEST(ProductPrecision, HoldsWhileItLives) {
  const at::Tensor x = at::randn({3, 8}), weight = at::randn({5, 8}).requires_grad_(true);
  {
    const kernels::ProductPrecision outer(at::kBFloat16);
    const at::Tensor y = kernels::Linear(x, weight);
    EXPECT_EQ(y.scalar_type(), at::kBFloat16);
    y.sum().backward();
    EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
    const kernels::ProductPrecision inner(at::kFloat);
    EXPECT_TRUE(at::equal(kernels::Linear(x, weight), at::linear(x, weight)));
  }
  EXPECT_EQ(kernels::Linear(x, weight).scalar_type(), at::kFloat);
}

// As on a GPU, where autograd has a thread for each device.
TEST(ProductPrecision, HoldsWhereABackwardPassOfAnotherThreadComputesAgain) {
  const at::Tensor x = at::randn({3, 8}).requires_grad_(true),
                   weight = at::randn({5, 8}).requires_grad_(true);
  std::vector<at::ScalarType> seen;
  const auto block = [&](const at::Tensor& in) {
    const at::Tensor y = kernels::Linear(in, weight);
    seen.push_back(y.scalar_type());
    return y.to(at::kFloat);
  };
  at::Tensor sum;
  {
    const kernels::ProductPrecision mixed(at::kBFloat16);
    sum = models::Recomputed(block, x).sum();
  }
  std::thread([&] { sum.backward(); }).join();
  EXPECT_THAT(seen, testing::ElementsAre(at::kBFloat16, at::kBFloat16));
  EXPECT_EQ(weight.grad().scalar_type(), at::kFloat);
}

struct Pass {
  double loss = 0;
  at::Tensor gradients;  // all of them, end to end
};

Pass RunPass(const FamilyCase& reference, at::ScalarType precision, bool checkpoint) {
  const auto parameters = models::TrainableParameters(*reference.model, {}).value();
  for (const auto& [name, tensor] : parameters) tensor.mutable_grad().reset();
  reference.model->CheckpointActivations(checkpoint);
  const kernels::ProductPrecision scope(precision);
  const at::Tensor logits = reference.Logits();
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  const at::Tensor loss = models::NextTokenLoss(logits, reference.input);
  loss.backward();
  std::vector<at::Tensor> gradients;
  for (const auto& [name, tensor] : parameters) {
    if (!tensor.grad().defined()) continue;
    EXPECT_EQ(tensor.grad().scalar_type(), at::kFloat) << name;
    gradients.push_back(tensor.grad().flatten());
  }
  return {loss.item<double>(), at::cat(gradients)};
}

class MixedPrecision : public testing::TestWithParam<std::string> {};

TEST_P(MixedPrecision, IsNearFloat32InEveryFamily) {
  const FamilyCase reference(GetParam());
  const Pass exact = RunPass(reference, at::kFloat, false);
  const Pass mixed = RunPass(reference, at::kBFloat16, false);
  EXPECT_NE(mixed.loss, exact.loss);
  EXPECT_NEAR(mixed.loss, exact.loss, 0.02 * exact.loss);
  const double difference = (mixed.gradients - exact.gradients).norm().item<double>();
  EXPECT_LT(difference, 0.1 * exact.gradients.norm().item<double>());
  const Pass recomputed = RunPass(reference, at::kBFloat16, true);
  EXPECT_EQ(recomputed.loss, mixed.loss);
  EXPECT_TRUE(at::equal(recomputed.gradients, mixed.gradients));
}

INSTANTIATE_TEST_SUITE_P(Families, MixedPrecision,
                         testing::Values("idefics3/plain", "llava/plain", "llava_next/vicuna",
                                         "qwen2_vl/nested"),
                         models::CaseName);

SftOptions Options(const std::filesystem::path& folder, at::ScalarType precision) {
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.optimizer.precision = precision;
  return options;
}

// As a rollout gives them: the log-probabilities are those of float32.
std::vector<PolicySequence> PolicyBatch(models::VisionLanguageModel& model) {
  std::vector<Sequence> sequences;
  for (uint64_t i = 0; i < 4; ++i)
    sequences.push_back(TinySequence(std::to_string(i), i, 12, TinyPicture(i)));
  const auto logprobs = ResponseLogProbs(model, sequences, 1, TinyAllowed(), 1 << 20).value();
  std::vector<PolicySequence> batch;
  for (size_t i = 0; i < sequences.size(); ++i) {
    batch.push_back({.sequence = sequences[i],
                     .behaviour_logprobs = logprobs[i],
                     .advantages = std::vector<float>(12, i % 2 == 0 ? 1.0f : -0.5f),
                     .token_weight = 1.0 / 48});
  }
  return batch;
}

std::vector<CriticSequence> CriticBatch() {
  std::vector<CriticSequence> batch;
  for (uint64_t i = 0; i < 4; ++i) {
    batch.push_back({.sequence = TinySequence(std::to_string(i), i, 12, TinyPicture(i)),
                     .old_values = std::vector<float>(12, 0.0f),
                     .returns = std::vector<float>(12, i % 2 == 0 ? 1.0f : -1.0f),
                     .token_weight = 1.0 / 48});
  }
  return batch;
}

struct Stepped {
  Metrics metrics;
  models::NamedTensors tensors;  // after the step
};

OptimizerOptions RlOptimizer(at::ScalarType precision, bool checkpoint) {
  return {.learning_rate = 1e-3, .checkpoint_activations = checkpoint, .precision = precision};
}

Stepped PolicyStep(at::ScalarType precision, bool checkpoint) {
  const auto model = MakeTinyModel("policy");
  const std::vector<PolicySequence> batch = PolicyBatch(*model);
  const auto trainer =
      PolicyTrainer::Create(model.get(), TinyAllowed(), {.optimizer = RlOptimizer(precision, checkpoint)});
  const auto metrics = trainer.value()->Step(batch, {{batch[0].sequence}}, 2, nullptr);
  EXPECT_TRUE(metrics.ok()) << metrics.status();
  return {metrics.value_or(Metrics()), CopyTensors(*model)};
}

Stepped CriticStep(at::ScalarType precision, bool checkpoint) {
  const auto model = MakeTinyModel("critic");
  model->AddScoreHead(1);
  const auto trainer = CriticTrainer::Create(model.get(), {.optimizer = RlOptimizer(precision, checkpoint)});
  const auto metrics = trainer.value()->Step(CriticBatch(), 2, nullptr);
  EXPECT_TRUE(metrics.ok()) << metrics.status();
  return {metrics.value_or(Metrics()), CopyTensors(*model)};
}

// `step` in both precisions, and with activations that are computed again.
void ExpectNearFloat32(Stepped (*step)(at::ScalarType precision, bool checkpoint)) {
  const Stepped exact = step(at::kFloat, false), mixed = step(at::kBFloat16, false);
  for (const char* name : {"loss", "grad_norm"}) {
    EXPECT_NE(mixed.metrics.at(name), exact.metrics.at(name)) << name;
    EXPECT_NEAR(mixed.metrics.at(name), exact.metrics.at(name), 0.05 * exact.metrics.at("grad_norm")) << name;
  }
  for (const auto& [name, tensor] : mixed.tensors) EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
  const Stepped recomputed = step(at::kBFloat16, true);
  EXPECT_EQ(recomputed.metrics, mixed.metrics);
  EXPECT_TRUE(SameTensors(recomputed.tensors, mixed.tensors));
}

TEST(PolicyInBfloat16, StepsAsInFloat32UpToRounding) {
  ExpectNearFloat32(PolicyStep);
  EXPECT_LT(PolicyStep(at::kFloat, false).metrics.at("logprob_gap_mean"), 1e-5);
  const Metrics mixed = PolicyStep(at::kBFloat16, false).metrics;
  EXPECT_GT(mixed.at("logprob_gap_mean"), 1e-5);
  EXPECT_LT(mixed.at("logprob_gap_mean"), 0.05) << "the default of weight_sync.max_logprob_gap";
}

TEST(CriticInBfloat16, StepsAsInFloat32UpToRounding) { ExpectNearFloat32(CriticStep); }

TEST(TrainSftInBfloat16, ReachesTheLossOfFloat32) {
  std::map<at::ScalarType, double> losses;
  for (const at::ScalarType precision : {at::kFloat, at::kBFloat16}) {
    const auto metrics = TrainSft(Options(FreshFolder("sft"), precision), nullptr);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    losses[precision] = metrics->at("loss");
  }
  EXPECT_NE(losses[at::kBFloat16], losses[at::kFloat]);
  EXPECT_NEAR(losses[at::kBFloat16], losses[at::kFloat], 0.05);
}

TEST(TrainSftInBfloat16, WritesFloat32Weights) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = Options(folder, at::kBFloat16);
  options.steps = 2;
  ASSERT_TRUE(TrainSft(options, nullptr).ok());
  const auto files = models::WeightFiles(options.output);
  ASSERT_TRUE(files.ok()) << files.status();
  const models::NamedTensors tensors = models::ReadSafetensors(files->front()).value();
  double rounded = 0;
  for (const auto& [name, tensor] : tensors) {
    EXPECT_EQ(tensor.scalar_type(), at::kFloat) << name;
    rounded += (tensor - tensor.to(at::kBFloat16)).abs().sum().item<double>();
  }
  EXPECT_GT(rounded, 0);  // more digits than bfloat16 has
}

TEST(TrainSftInBfloat16, ResumesExactlyAndOnlyInTheSamePrecision) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = Options(folder, at::kBFloat16);
  options.steps = 4;
  options.save_every = 2;
  options.lora = {.rank = 2, .alpha = 4, .targets = {"q_proj", "down_proj"}};
  options.output = folder / "whole";
  ASSERT_TRUE(TrainSft(options, nullptr).ok());
  options.output = folder / "resumed";
  const auto die = [](const TrainProgress& progress) {
    if (progress.step == 3) throw std::runtime_error("killed");
  };
  EXPECT_FALSE(TrainSft(options, die).ok());
  options.resume = true;
  SftOptions other = options;
  other.optimizer.precision = at::kFloat;
  EXPECT_THAT(std::string(TrainSft(other, nullptr).status().message()), HasSubstr("optimizer"));
  const auto resumed = TrainSft(options, nullptr);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(models::ModelDigest(folder / "resumed").value(), models::ModelDigest(folder / "whole").value());
}

}  // namespace
}  // namespace rein::training
