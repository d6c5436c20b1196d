// Direct preference optimisation, offline.
#include <ATen/ATen.h>

#include <cmath>

#include "base/file.h"
#include "data/image.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/vision_language_model.h"
#include "training/preference_rows.h"
#include "training/rl_trainer.h"
#include "training/supervised.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

using ::testing::HasSubstr;

DpoOptions Options(const std::filesystem::path& folder) {
  DpoOptions options = TinyOptions<DpoOptions>(folder, SeparableRow);
  options.optimizer.learning_rate = 1e-3;
  options.optimizer.warmup_ratio = 0;
  options.steps = 12;
  return options;
}

std::vector<Metrics> Steps(const DpoOptions& options) {
  std::vector<Metrics> steps;
  const auto metrics =
      TrainDpo(options, [&](const TrainProgress& progress) { steps.push_back(progress.metrics); });
  EXPECT_TRUE(metrics.ok()) << metrics.status();
  return steps;
}

TEST(TrainDpo, StartsAtLogTwoAndPrefersTheChosenAnswersMoreAndMore) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  options.evaluation = WriteRows(folder, "evaluation.parquet", 12, SeparableRow);
  options.evaluate_every = 4;
  const std::vector<Metrics> steps = Steps(options);
  ASSERT_EQ(steps.size(), 12u);
  EXPECT_NEAR(steps[0].at("loss"), std::log(2.0), 1e-4);
  EXPECT_NEAR(steps[0].at("margin"), 0, 1e-4);
  EXPECT_LT(steps[11].at("loss"), steps[0].at("loss") - 0.2);
  EXPECT_EQ(steps[11].at("accuracy"), 1);
  EXPECT_EQ(steps[11].at("evaluation_accuracy"), 1);
  EXPECT_GT(steps[11].at("evaluation_margin"), steps[3].at("evaluation_margin"));
  EXPECT_NEAR(steps[11].at("margin"), steps[11].at("chosen_reward") - steps[11].at("rejected_reward"), 1e-5);
  EXPECT_TRUE(models::LoadModel(options.output).ok());
}

TEST(TrainDpo, BySafetyChoosesTheOtherAnswers) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  ASSERT_TRUE(TrainDpo(options, nullptr).ok());
  options.output = folder / "safe";
  options.by_safety = true;
  ASSERT_TRUE(TrainDpo(options, nullptr).ok());
  const auto preference = [&](const std::filesystem::path& model_folder) {
    const auto model = models::LoadModel(model_folder).value();
    const auto processor = models::Processor::Load(model_folder).value();
    std::vector<Sequence> sequences;
    for (const char* answer : {"yes", "no"}) {
      sequences.push_back(
          {answer, processor->EncodePrompt("what?", {}).value(), processor->EncodeResponse(answer), {}});
    }
    const auto logprobs = ResponseLogProbs(*model, sequences, 1, {}, 4096).value();
    double sums[2] = {0, 0};
    for (int i = 0; i < 2; ++i) {
      for (const float logprob : logprobs[i]) sums[i] += logprob;
    }
    return sums[0] - sums[1];
  };
  const double start = preference(options.model);
  EXPECT_GT(preference(folder / "output"), start + 1);
  EXPECT_LT(preference(folder / "safe"), start - 1);
}

TEST(TrainDpo, TheLossIsThatOfTheFormulaWithAnotherReference) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  WriteTinyModel(folder / "reference", 9);
  options.reference = folder / "reference";
  options.beta = 0.3;
  options.steps = 1;
  options.optimizer.micro_batch_tokens = 60;
  const std::vector<Metrics> steps = Steps(options);
  // The same from the start, by the formula, in double precision.
  const auto processor = models::Processor::Load(options.model).value();
  const auto model = models::LoadModel(options.model).value();
  const auto reference = models::LoadModel(options.reference).value();
  double loss = 0, right = 0;
  for (int i = 0; i < 8; ++i) {
    const data::PreferenceRow row = SeparableRow(i);
    const auto image = processor->ProcessImage(data::DecodeImage(row.pictures[0].bytes).value()).value();
    const auto picture = std::make_shared<const models::ProcessedImage>(image);
    double gain[2] = {0, 0};
    for (int answer = 0; answer < 2; ++answer) {
      const Sequence sequence{"row",
                              processor->EncodePrompt(row.question, {image}).value(),
                              processor->EncodeResponse(row.response[answer]),
                              {picture}};
      const auto policy = ResponseLogProbs(*model, {&sequence, 1}, 1, {}, 4096).value()[0];
      const auto frozen = ResponseLogProbs(*reference, {&sequence, 1}, 1, {}, 4096).value()[0];
      for (size_t t = 0; t < policy.size(); ++t) gain[answer] += double{policy[t]} - double{frozen[t]};
    }
    const int chosen = row.more_helpful - 1;
    const double margin = 0.3 * (gain[chosen] - gain[1 - chosen]);
    loss += std::log1p(std::exp(-margin)) / 8;
    right += margin > 0 ? 1.0 / 8 : 0;
  }
  EXPECT_NEAR(steps[0].at("loss"), loss, 2e-5);
  EXPECT_NEAR(steps[0].at("accuracy"), right, 1e-9);
  EXPECT_GT(std::abs(loss - std::log(2.0)), 1e-3);
}

TEST(TrainDpo, EqualSeedsGiveEqualBytes) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  options.steps = 4;
  options.batch = 3;
  std::vector<std::string> digests;
  for (const char* name : {"first", "second"}) {
    options.output = folder / name;
    ASSERT_TRUE(TrainDpo(options, nullptr).ok());
    digests.push_back(models::ModelDigest(options.output).value());
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(TrainDpo, WorksWithAdaptersAndWritesThemBesideTheMergedModel) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  options.lora = {.rank = 4, .alpha = 8, .dropout = 0.1};
  options.optimizer.learning_rate = 1e-2;
  options.steps = 20;
  const std::vector<Metrics> steps = Steps(options);
  EXPECT_NEAR(steps[0].at("loss"), std::log(2.0), 1e-4);
  EXPECT_LT(steps.back().at("loss"), 0.5);
  const auto merged = models::LoadModel(options.output);
  ASSERT_TRUE(merged.ok()) << merged.status();
  const auto base = models::LoadModel(options.model).value();
  const auto lora = models::Lora::Attach(base.get(), options.lora).value();
  const auto values = lora->Read(options.output / "adapter");
  ASSERT_TRUE(values.ok()) << values.status();
  lora->Set(*values);
  EXPECT_TRUE(SameTensors(CopyTensors(*base), CopyTensors(**merged)));
}

TEST(TrainDpo, RefusesBadInputs) {
  const std::filesystem::path folder = FreshFolder("dpo");
  DpoOptions options = Options(folder);
  options.beta = 0;
  EXPECT_THAT(TrainDpo(options, nullptr).status().message(), HasSubstr("beta"));
  options.beta = 0.1;
  options.reference = folder / "absent";
  EXPECT_EQ(TrainDpo(options, nullptr).status().code(), absl::StatusCode::kNotFound);
  // The same model with another tokenizer.
  WriteTinyModel(folder / "reference", 1);
  options.reference = folder / "reference";
  const std::string tokenizer = ReadFile(options.reference / "tokenizer.json").value();
  ASSERT_EQ(WriteFileAtomically(options.reference / "tokenizer.json", tokenizer + "\n"), absl::OkStatus());
  const absl::Status status = TrainDpo(options, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("another tokenizer"));
  options.reference = "";
  options.data = folder / "absent.parquet";
  EXPECT_EQ(TrainDpo(options, nullptr).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

}  // namespace
}  // namespace rein::training
