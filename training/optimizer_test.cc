#include "training/optimizer.h"

#include <ATen/ATen.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/safetensors.h"

namespace rein::training {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::filesystem::path TestFile(const std::string& name) {
  return std::filesystem::path(::testing::TempDir()) / name;
}

at::Tensor Parameter(const at::Tensor& value) { return value.clone().requires_grad_(true); }

void SetGradients(AdamW& optimizer, double salt) {
  for (const auto& [name, value] : optimizer.parameters()) {
    value.mutable_grad() = at::sin(value.detach() * 3 + salt);
  }
}

models::NamedTensors SmallModel() {
  return {{"weight", Parameter(at::arange(6, at::kFloat).reshape({2, 3}) * 0.1)},
          {"norm", Parameter(at::ones({3}))},
          {"bias", Parameter(at::arange(3, at::kFloat))}};
}

OptimizerOptions Options() {
  OptimizerOptions options;
  options.learning_rate = 0.01;
  options.warmup_ratio = 0;
  options.gradient_clip = 0;
  return options;
}

TEST(LearningRate, WarmsUpLinearlyAndNeverTakesAStepOfSizeZero) {
  OptimizerOptions options = Options();
  options.learning_rate = 1;
  options.warmup_ratio = 0.03;
  EXPECT_DOUBLE_EQ(LearningRate(options, 0, 100), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(options, 2, 100), 0.75);
  EXPECT_DOUBLE_EQ(LearningRate(options, 3, 100), 1);
  EXPECT_DOUBLE_EQ(LearningRate(options, 99, 100), 1);
}

TEST(LearningRate, CosineAndLinearFallToZeroAtTheEnd) {
  OptimizerOptions options = Options();
  options.learning_rate = 2;
  options.schedule = OptimizerOptions::Schedule::kCosine;
  EXPECT_DOUBLE_EQ(LearningRate(options, 0, 100), 2);
  EXPECT_DOUBLE_EQ(LearningRate(options, 50, 100), 1);
  EXPECT_NEAR(LearningRate(options, 25, 100), 1 + std::sqrt(0.5), 1e-12);
  EXPECT_NEAR(LearningRate(options, 100, 100), 0, 1e-12);
  options.schedule = OptimizerOptions::Schedule::kLinear;
  EXPECT_DOUBLE_EQ(LearningRate(options, 25, 100), 1.5);
  EXPECT_DOUBLE_EQ(LearningRate(options, 1000, 100), 0);
}

TEST(AdamW, FollowsTheFormula) {
  OptimizerOptions options = Options();
  options.weight_decay = 0.1;
  const at::Tensor weight = Parameter(at::arange(6, at::kFloat).reshape({2, 3}));
  AdamW optimizer({{"weight", weight}}, options);
  at::Tensor expected = weight.detach().to(at::kDouble), m = at::zeros_like(expected), v = m.clone();
  for (int step = 1; step <= 5; ++step) {
    SetGradients(optimizer, step);
    const at::Tensor gradient = weight.grad().to(at::kDouble);
    m = 0.9 * m + 0.1 * gradient;
    v = 0.95 * v + 0.05 * gradient * gradient;
    expected = expected * (1 - 0.01 * 0.1) -
               0.01 * (m / (1 - std::pow(0.9, step))) / ((v / (1 - std::pow(0.95, step))).sqrt() + 1e-8);
    ASSERT_TRUE(optimizer.Step(100).ok());
  }
  EXPECT_TRUE(at::allclose(weight.detach().to(at::kDouble), expected, 1e-6, 1e-6));
  EXPECT_EQ(optimizer.steps(), 5);
}

TEST(AdamW, DecaysNoBiasAndNoNorm) {
  OptimizerOptions options = Options();
  options.weight_decay = 0.5;
  AdamW optimizer(SmallModel(), options);
  for (const auto& [name, value] : optimizer.parameters()) value.mutable_grad() = at::zeros_like(value);
  ASSERT_TRUE(optimizer.Step(10).ok());
  EXPECT_TRUE(at::equal(optimizer.parameters()[1].second, at::ones({3})));
  EXPECT_TRUE(at::equal(optimizer.parameters()[2].second, at::arange(3, at::kFloat)));
  EXPECT_FLOAT_EQ(optimizer.parameters()[0].second[1][2].item<float>(), 0.5f * (1 - 0.01f * 0.5f));
}

TEST(AdamW, ClipsByTheGlobalNorm) {
  OptimizerOptions options = Options();
  options.gradient_clip = 1;
  options.epsilon = 1;  // makes the step depend on the gradient's size
  const at::Tensor a = Parameter(at::zeros({1, 1})), b = Parameter(at::zeros({1, 1}));
  AdamW optimizer({{"a", a}, {"b", b}}, options);
  a.mutable_grad() = at::full({1, 1}, 3.0f);
  b.mutable_grad() = at::full({1, 1}, 4.0f);
  const absl::StatusOr<AdamW::StepResult> result = optimizer.Step(10);
  ASSERT_TRUE(result.ok());
  EXPECT_FLOAT_EQ(result->gradient_norm, 5);
  EXPECT_NEAR(a.item<float>(), -0.01 * 0.6 / 1.6, 1e-7);
  EXPECT_NEAR(b.item<float>(), -0.01 * 0.8 / 1.8, 1e-7);
  EXPECT_FALSE(a.grad().defined());
}

TEST(AdamW, RefusesAGradientThatIsNotFiniteAndChangesNothing) {
  AdamW optimizer(SmallModel(), Options()), undisturbed(SmallModel(), Options());
  for (AdamW* each : {&optimizer, &undisturbed}) {
    SetGradients(*each, 1);
    ASSERT_TRUE(each->Step(10).ok());
  }
  SetGradients(optimizer, 2);
  optimizer.parameters()[1].second.mutable_grad()[0] = std::numeric_limits<float>::quiet_NaN();
  const absl::Status status = optimizer.Step(10).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("norm"), Not(HasSubstr("bias"))));
  EXPECT_EQ(optimizer.steps(), 1);
  for (AdamW* each : {&optimizer, &undisturbed}) {
    SetGradients(*each, 2);
    ASSERT_TRUE(each->Step(10).ok());
  }
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(at::equal(optimizer.parameters()[i].second, undisturbed.parameters()[i].second));
  }
}

TEST(AdamW, WithoutAnyGradientIsAnError) {
  AdamW optimizer(SmallModel(), Options());
  EXPECT_EQ(optimizer.Step(10).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST(AdamW, ContinuesBitForBitAfterSaveAndLoad) {
  const std::filesystem::path file = TestFile("resume.safetensors");
  OptimizerOptions options = Options();
  options.weight_decay = 0.1;
  options.gradient_clip = 1;
  AdamW optimizer(SmallModel(), options);
  for (int step = 0; step < 3; ++step) {
    SetGradients(optimizer, step);
    optimizer.parameters()[2].second.mutable_grad().reset();  // the bias has no moments yet
    ASSERT_TRUE(optimizer.Step(10).ok());
  }
  ASSERT_EQ(optimizer.Save(file), absl::OkStatus());
  models::NamedTensors copies;
  for (const auto& [name, value] : optimizer.parameters())
    copies.emplace_back(name, Parameter(value.detach()));
  AdamW resumed(copies, options);
  ASSERT_EQ(resumed.Load(file), absl::OkStatus());
  EXPECT_EQ(resumed.steps(), 3);
  for (int step = 3; step < 6; ++step) {
    for (AdamW* each : {&optimizer, &resumed}) {
      SetGradients(*each, step);
      ASSERT_TRUE(each->Step(10).ok());
    }
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    EXPECT_TRUE(at::equal(optimizer.parameters()[i].second, resumed.parameters()[i].second))
        << copies[i].first;
  }
}

TEST(AdamW, RefusesTheStateOfAnotherModelAndKeepsItsOwn) {
  const std::filesystem::path file = TestFile("other.safetensors");
  const auto trained = [&](models::NamedTensors parameters) {
    AdamW optimizer(std::move(parameters), Options());
    SetGradients(optimizer, 1);
    EXPECT_TRUE(optimizer.Step(10).ok());
    EXPECT_EQ(optimizer.Save(file), absl::OkStatus());
  };
  AdamW optimizer(SmallModel(), Options());

  models::NamedTensors renamed = SmallModel();
  renamed[0].first = "other";
  trained(renamed);
  EXPECT_THAT(optimizer.Load(file).message(), HasSubstr("lacks first_moment.weight"));

  models::NamedTensors reshaped = SmallModel();
  reshaped[0].second = Parameter(at::ones({3, 2}));
  trained(reshaped);
  EXPECT_THAT(optimizer.Load(file).message(),
              HasSubstr("Float of shape [3, 2], expected Float of shape [2, 3]"));

  models::NamedTensors fewer = SmallModel();
  fewer.pop_back();
  trained(fewer);
  EXPECT_THAT(optimizer.Load(file).message(), HasSubstr("holds 5 tensors, expected 7"));

  EXPECT_EQ(optimizer.Load(TestFile("absent.safetensors")).code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(WriteFileAtomically(file, "rubbish"), absl::OkStatus());
  EXPECT_EQ(optimizer.Load(file).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(optimizer.steps(), 0);
}

}  // namespace
}  // namespace rein::training
