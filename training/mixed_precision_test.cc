// Products of linear layers in bfloat16 around weights, optimizer and losses in float32.
#include <ATen/ATen.h>

#include "gmock/gmock.h"
#include "kernels/ops.h"
#include "kernels/precision.h"
#include "models/family_case.h"
#include "models/folder.h"
#include "models/safetensors.h"
#include "training/preference_rows.h"
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
