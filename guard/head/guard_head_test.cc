#include "guard/head/guard_head.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/test_folder.h"
#include "guard/head/guard_config.h"
#include "guard/head/guard_loss.h"
#include "models/safetensors.h"
#include "nlohmann/json.hpp"

namespace rein::guard {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr int64_t kHidden = 6;

GuardConfig Example() {
  GuardConfig config{
      .thresholds = {.question = {0.1, 0.2, 0.3}, .answer = {0.4, 0.5, 1}, .category = EachCategory(0.6)},
      .false_positive_rate = 0.05,
      .held_out = true,
      .measured_questions = 7,
      .measured_answers = 14,
      .metrics = {{"auc", 0.9}, {"question_macro_f1", 0.8}}};
  config.question[1] = {
      .threshold = 0.2, .chosen = true, .below = 10, .at_or_above = 3, .false_positive_rate = 0.04};
  config.thresholds.category[7] = 0.25;
  config.category[7] = {.threshold = 0.25, .chosen = true, .items = 9};
  return config;
}

TEST(GuardHead, ComesBackAsItWas) {
  const TestFolder folder;
  const GuardHead head = DrawGuardHead(kHidden, 3);
  EXPECT_FALSE(HasGuardHead(folder.path()));
  ASSERT_EQ(WriteGuardHead(head, folder.path()), absl::OkStatus());
  EXPECT_TRUE(HasGuardHead(folder.path()));
  const auto read = ReadGuardHead(folder.path(), kHidden);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(at::equal(read->weight, head.weight));
  EXPECT_TRUE(at::equal(read->bias, head.bias));
  EXPECT_TRUE(at::equal(DrawGuardHead(kHidden, 3).weight, head.weight));
  EXPECT_FALSE(at::equal(DrawGuardHead(kHidden, 4).weight, head.weight));
}

TEST(GuardHead, ComputesInFloat32) {
  const GuardHead head = DrawGuardHead(kHidden, 1);
  const at::Tensor hidden = at::ones({2, kHidden}, at::kBFloat16);
  const at::Tensor logits = HeadLogits(head, hidden);
  EXPECT_EQ(logits.scalar_type(), at::kFloat);
  EXPECT_EQ(logits.sizes(), at::IntArrayRef({2, kHeadLogits}));
  EXPECT_TRUE(at::allclose(logits[0], head.weight.sum(1) + head.bias));
  // Before it has learned anything a category is one of twenty.
  EXPECT_NEAR(at::sigmoid(head.bias)[kOrdinalLogits].item<double>(), 0.05, 1e-6);
  EXPECT_EQ(head.bias[kOrdinalLogits - 1].item<double>(), 0);
}

TEST(GuardHead, NamesWhatIsWrong) {
  const TestFolder folder;
  const auto read = [&] { return ReadGuardHead(folder.path(), kHidden).status(); };
  EXPECT_EQ(read().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(read().message(), AllOf(HasSubstr(folder.path().string()), HasSubstr("rein train guard")));
  const auto write = [&](const models::NamedTensors& tensors) {
    ASSERT_EQ(models::WriteSafetensors(folder.path() / kHeadFile, tensors), absl::OkStatus());
  };
  const at::Tensor weight = at::zeros({kHeadLogits, kHidden}), bias = at::zeros({kHeadLogits});
  write({{"weight", weight}});
  EXPECT_THAT(read().message(), HasSubstr("1 tensors"));
  write({{"weight", weight}, {"offset", bias}});
  EXPECT_THAT(read().message(), HasSubstr("no tensor bias"));
  write({{"weight", at::zeros({kHeadLogits, kHidden + 1})}, {"bias", bias}});
  EXPECT_THAT(read().message(), AllOf(HasSubstr("[23, 7]"), HasSubstr("[23, 6]"), HasSubstr(kHeadFile)));
  write({{"weight", weight.to(at::kBFloat16)}, {"bias", bias}});
  EXPECT_THAT(read().message(), HasSubstr("BFloat16"));
  at::Tensor broken = bias.clone();
  broken[4] = std::numeric_limits<float>::quiet_NaN();
  write({{"weight", weight}, {"bias", broken}});
  EXPECT_THAT(read().message(), HasSubstr("bias has 1 values that are not finite"));
  EXPECT_EQ(read().code(), absl::StatusCode::kInvalidArgument);
  ASSERT_EQ(WriteFileAtomically(folder.path() / kHeadFile, "rubbish"), absl::OkStatus());
  EXPECT_EQ(read().code(), absl::StatusCode::kInvalidArgument);
}

TEST(GuardConfig, ComesBackAsItWas) {
  const TestFolder folder;
  ASSERT_EQ(WriteGuardConfig(Example(), folder.path()), absl::OkStatus());
  const std::string text = ReadFile(folder.path() / kConfigFile).value();
  const auto read = ReadGuardConfig(folder.path());
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->thresholds.answer, Example().thresholds.answer);
  EXPECT_EQ(read->thresholds.category, Example().thresholds.category);
  EXPECT_EQ(read->question[1].below, 10);
  EXPECT_EQ(read->category[7].items, 9);
  EXPECT_EQ(read->metrics, Example().metrics);
  ASSERT_EQ(WriteGuardConfig(*read, folder.path()), absl::OkStatus());
  EXPECT_EQ(ReadFile(folder.path() / kConfigFile).value(), text);
}

TEST(GuardConfig, NamesWhatIsWrong) {
  const TestFolder folder;
  const auto read = [&] { return ReadGuardConfig(folder.path()).status(); };
  EXPECT_EQ(read().code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(WriteGuardConfig(Example(), folder.path()), absl::OkStatus());
  const json good = json::parse(ReadFile(folder.path() / kConfigFile).value());
  const std::tuple<const char*, json, const char*> wrong[] = {
      {"/format", 1, "format is 1"},
      {"/levels", {"safe"}, "list of 4 names"},
      {"/levels/1", "small", "\"small\""},
      {"/categories/3", "rudeness", "number 4"},
      {"/categories", nullptr, "list of 20 names"},
      {"/thresholds/question", {0.5}, "1 numbers"},
      {"/thresholds/question/0", 1.5, "from 0 to 1"},
      {"/thresholds/answer/2", "0.5", "list of numbers"},
      {"/thresholds/answer", nullptr, "0 numbers"},
      {"/thresholds/category", 0.5, "category"},
      {"/thresholds/category/3", -1, "from 0 to 1"},
      {"/thresholds", 3, "thresholds"},
      {"/chosen/question", {1, 2}, "a list of 3"},
      {"/chosen/category", {1, 2}, "a list of 20"},
      {"/chosen/category/2/items", -1, "items"},
      {"/chosen/question/0", 1, "not an object"},
      {"/chosen/answer/1/threshold", 7, "threshold"},
      {"/measured/metrics/auc", "high", "auc"},
  };
  for (const auto& [path, value, text] : wrong) {
    json bad = good;
    bad[json::json_pointer(path)] = value;
    ASSERT_EQ(WriteFileAtomically(folder.path() / kConfigFile, bad.dump()), absl::OkStatus());
    EXPECT_EQ(read().code(), absl::StatusCode::kInvalidArgument) << path;
    EXPECT_THAT(read().message(), AllOf(HasSubstr(kConfigFile), HasSubstr(text))) << path;
  }
  for (const char* text : {"", "[]", "{", "{\"format\": 1e999}"}) {
    ASSERT_EQ(WriteFileAtomically(folder.path() / kConfigFile, text), absl::OkStatus());
    EXPECT_EQ(read().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(GuardLabels, SayWhatIsKnown) {
  const Label moderate = QuestionLabel("moderate", "animal_abuse");
  EXPECT_EQ(moderate.at_least, 2);
  EXPECT_EQ(moderate.at_most, 2);
  EXPECT_TRUE(moderate.categories_known);
  EXPECT_EQ(moderate.category, 0);
  const Label safe = QuestionLabel("safe", "animal_abuse");
  EXPECT_TRUE(safe.level_known());
  EXPECT_TRUE(safe.categories_known);
  EXPECT_EQ(safe.category, -1);
  for (const char* unknown : {"", "benign", "rudeness"}) {
    EXPECT_FALSE(QuestionLabel("severe", unknown).categories_known) << unknown;
    EXPECT_TRUE(QuestionLabel("safe", unknown).categories_known) << unknown;
  }
  EXPECT_FALSE(QuestionLabel("", "animal_abuse").severity_known());
  EXPECT_FALSE(QuestionLabel("terrible", "animal_abuse").severity_known());
  const int levels[] = {3, 2, 1, 0, 0, 0, 0};
  for (int rate = -3; rate <= 3; ++rate) {
    EXPECT_EQ(RatedAnswerLabel(rate, "").at_least, levels[rate + 3]);
    EXPECT_TRUE(RatedAnswerLabel(rate, "").level_known());
  }
  const Label unsafe = LabelledAnswerLabel(false, "sexual_crimes");
  EXPECT_TRUE(unsafe.severity_known());
  EXPECT_FALSE(unsafe.level_known());
  EXPECT_EQ(unsafe.at_least, 1);
  EXPECT_EQ(unsafe.at_most, 3);
  EXPECT_TRUE(LabelledAnswerLabel(true, "").level_known());
}

TEST(OrdinalLoss, IsTheNegativeLogLikelihoodOfTheLevel) {
  // f = sigmoid(log 3, 0, -log 3) = 3/4, 1/2, 1/4: P(level) = 1/4, 3/8, 9/32, 3/32.
  at::Tensor logits = at::zeros({6, kHeadLogits});
  logits.select(1, 0).fill_(std::log(3.0));
  logits.select(1, 2).fill_(-std::log(3.0));
  std::vector<Label> labels;
  for (const char* level : {"safe", "minor", "moderate", "severe", "unknown"})
    labels.push_back(QuestionLabel(level, ""));
  labels.push_back(LabelledAnswerLabel(false, ""));
  const at::Tensor loss = OrdinalLoss(logits, labels);
  const double expected[] = {std::log(4.0),    std::log(8.0 / 3), std::log(32.0 / 9), std::log(32.0 / 3), 0,
                             std::log(4.0 / 3)};
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(loss[i].item<double>(), expected[i], 1e-6) << i;
}

TEST(OrdinalLoss, TrainsTheFirstLogitOnlyWhereOnlyUnsafeIsKnown) {
  at::Tensor logits = at::zeros({1, kHeadLogits}).requires_grad_(true);
  OrdinalLoss(logits, {LabelledAnswerLabel(false, "")}).sum().backward();
  EXPECT_NEAR(logits.grad()[0][0].item<double>(), -0.5, 1e-6);
  EXPECT_EQ(logits.grad().abs().sum().item<double>(), 0.5);
}

TEST(CategoryLoss, IsTheNegativeLogLikelihoodOfTheCategoriesThatAreKnown) {
  at::Tensor logits = at::zeros({3, kHeadLogits});
  logits[0][kOrdinalLogits + 2] = std::log(3.0);  // P = 3/4
  const at::Tensor loss =
      CategoryLoss(logits, {QuestionLabel("severe", "deception_in_personal_relationships"),
                            QuestionLabel("safe", ""), QuestionLabel("severe", "benign")});
  const double half = std::log(2.0);
  EXPECT_NEAR(loss[0].item<double>(), 19 * half + std::log(4.0 / 3), 1e-5);
  EXPECT_NEAR(loss[1].item<double>(), 20 * half, 1e-5);
  EXPECT_EQ(loss[2].item<double>(), 0);
}

}  // namespace
}  // namespace rein::guard
