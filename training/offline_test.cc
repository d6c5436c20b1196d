// What offline trainings keep: the best model, states to resume from, logs.
#include "training/offline.h"

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "training/pairs.h"
#include "training/preference_rows.h"
#include "training/supervised_loss.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<nlohmann::json> Lines(const fs::path& file) {
  std::vector<nlohmann::json> lines;
  const std::string text = ReadFile(file).value_or("");
  for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    lines.push_back(nlohmann::json::parse(line));
  }
  return lines;
}

std::vector<std::string> Names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

// As if the process died after step `step`.
TrainProgressFn DieAfter(int64_t step) {
  return [step](const TrainProgress& progress) {
    if (progress.step == step) throw std::runtime_error("killed");
  };
}

SftOptions Options(const fs::path& folder) {
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.steps = 10;
  options.batch = 3;
  options.save_every = 4;
  options.optimizer.schedule = OptimizerOptions::Schedule::kCosine;
  return options;
}

// Supervised training whose evaluations say what they are told to.
absl::StatusOr<Metrics> TrainScripted(const SftOptions& options, const std::vector<double>& evaluations,
                                      const TrainProgressFn& progress) {
  REIN_ASSIGN_OR_RETURN(const auto training, OfflineTraining::Create(options, {}));
  OfflineTraining::Task task;
  task.loss = [&](const Corpus& corpus, const OfflineTraining::Rows& rows,
                  Metrics&) -> absl::StatusOr<LossPart> {
    const auto sequences = std::make_shared<std::vector<Sequence>>();
    for (const CorpusRow* row : rows) {
      REIN_ASSIGN_OR_RETURN(sequences->emplace_back(), corpus.SequenceOf(*row, 0));
    }
    LossPart part = SupervisedLoss(training->forward(), Pointers(*sequences));
    part.item_name = [sequences](size_t item) { return (*sequences)[item].id; };
    return part;
  };
  size_t calls = 0;
  task.evaluate = [&](const Corpus&, const OfflineTraining::Rows&) -> absl::StatusOr<Metrics> {
    return Metrics{{"loss", evaluations.at(calls++)}};
  };
  return training->Run(task, progress);
}

// Trains undisturbed, and dying after step 6 and then resumed; compares the bytes.
void ExpectExactResume(SftOptions options, const fs::path& folder) {
  options.output = folder / "undisturbed";
  const auto expected = TrainSft(options, nullptr);
  ASSERT_TRUE(expected.ok()) << expected.status();
  options.output = folder / "resumed";
  EXPECT_THAT(TrainSft(options, DieAfter(6)).status().message(), HasSubstr("killed"));
  EXPECT_FALSE(fs::exists(options.output));
  options.resume = true;
  std::vector<int64_t> steps;
  const auto metrics =
      TrainSft(options, [&](const TrainProgress& progress) { steps.push_back(progress.step); });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(*metrics, *expected);
  EXPECT_EQ(steps.front(), 5);
  EXPECT_EQ(models::ModelDigest(folder / "undisturbed").value(),
            models::ModelDigest(folder / "resumed").value());
  const auto lines = Lines(folder / "resumed.training/metrics.jsonl");
  EXPECT_EQ(lines, Lines(folder / "undisturbed.training/metrics.jsonl"));
  ASSERT_EQ(lines.size(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(lines[i]["step"], i + 1);
}

TEST(ResumedTraining, EndsWithTheSameBytes) {
  const fs::path folder = FreshFolder("sft");
  ExpectExactResume(Options(folder), folder);
}

TEST(ResumedTraining, EndsWithTheSameBytesOfAdapters) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  options.lora = {.rank = 2, .alpha = 4, .dropout = 0.3};
  ExpectExactResume(options, folder);
  EXPECT_EQ(ReadFile(folder / "resumed/adapter/adapter_model.safetensors").value(),
            ReadFile(folder / "undisturbed/adapter/adapter_model.safetensors").value());
}

TEST(ResumedTraining, RemembersTheBestModel) {
  // Evaluations after steps 3, 6, 9 and 10; dead after step 6, resumed after step 4.
  for (const double second : {2.0, 0.5}) {
    const fs::path folder = FreshFolder("sft");
    SftOptions options = Options(folder);
    options.keep_best = true;
    options.evaluate_every = 3;
    options.output = folder / "undisturbed";
    const auto expected = TrainScripted(options, {1, second, 3, 4}, nullptr);
    ASSERT_TRUE(expected.ok()) << expected.status();
    EXPECT_EQ(expected->at("loss"), std::min(1.0, second));
    options.output = folder / "resumed";
    EXPECT_FALSE(TrainScripted(options, {1, second}, DieAfter(6)).ok());
    options.resume = true;
    const auto metrics = TrainScripted(options, {second, 3, 4}, nullptr);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    EXPECT_EQ(*metrics, *expected);
    EXPECT_EQ(models::ModelDigest(folder / "undisturbed").value(),
              models::ModelDigest(folder / "resumed").value());
  }
}

TEST(ResumedTraining, KeepsOneStateWhileItRunsAndNoneAfterwards) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  EXPECT_FALSE(TrainSft(options, DieAfter(9)).ok());
  EXPECT_THAT(Names(folder / "output.training"), ElementsAre("metrics.jsonl", "step-8", "tensorboard"));
  EXPECT_THAT(Names(folder / "output.training/step-8"),
              ElementsAre("model", "optimizer.safetensors", "state.json"));
  options.resume = true;
  ASSERT_TRUE(TrainSft(options, nullptr).ok());
  EXPECT_THAT(Names(folder / "output.training"), ElementsAre("metrics.jsonl", "tensorboard"));
}

TEST(ResumedTraining, NeedsAStateAndAFreshOneMustNotRunOverIt) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  options.resume = true;
  const absl::Status nothing = TrainSft(options, nullptr).status();
  EXPECT_EQ(nothing.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(nothing.message(), AllOf(HasSubstr("output.training"), HasSubstr("save_every")));
  options.resume = false;
  EXPECT_FALSE(TrainSft(options, DieAfter(5)).ok());
  const absl::Status over = TrainSft(options, nullptr).status();
  EXPECT_EQ(over.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(over.message(), AllOf(HasSubstr("step 4"), HasSubstr("--resume")));
}

TEST(ResumedTraining, RefusesOtherSettingsAndABrokenState) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  EXPECT_FALSE(TrainSft(options, DieAfter(5)).ok());
  options.resume = true;
  SftOptions other = options;
  other.seed = 2;
  other.optimizer.learning_rate = 1;
  const absl::Status status = TrainSft(other, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("other values of optimizer, seed:"));
  // What does not change the result may change.
  other = options;
  other.save_every = 0;
  other.evaluate_every = 5;
  EXPECT_THAT(TrainSft(other, DieAfter(5)).status().message(), HasSubstr("killed"));

  const fs::path state = folder / "output.training/step-4/state.json";
  ASSERT_EQ(WriteFileAtomically(state, "{\"format\": 1, \"step\": 40}"), absl::OkStatus());
  EXPECT_THAT(TrainSft(options, nullptr).status().message(), HasSubstr("no training state of step 4"));
  ASSERT_EQ(WriteFileAtomically(state, "not json"), absl::OkStatus());
  EXPECT_EQ(TrainSft(options, nullptr).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(KeepBest, WritesTheModelOfTheEvaluationWithTheSmallestLoss) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  options.evaluate_every = 2;
  options.output = folder / "dead";
  EXPECT_FALSE(TrainScripted(options, {3, 1, 2, 2, 2}, DieAfter(5)).ok());
  const std::string after_step_4 = models::ModelDigest(folder / "dead.training/step-4/model").value();
  options.save_every = 0;
  options.keep_best = true;
  options.output = folder / "best";
  const auto best = TrainScripted(options, {3, 1, 2, 2, 2}, nullptr);
  ASSERT_TRUE(best.ok()) << best.status();
  EXPECT_EQ(best->at("loss"), 1);
  EXPECT_EQ(models::ModelDigest(folder / "best").value(), after_step_4);
  EXPECT_THAT(Names(folder / "best.training"), ElementsAre("metrics.jsonl", "tensorboard"));
  options.keep_best = false;
  options.output = folder / "last";
  EXPECT_EQ(TrainScripted(options, {3, 1, 2, 2, 2}, nullptr)->at("loss"), 2);
  EXPECT_NE(models::ModelDigest(folder / "last").value(), after_step_4);
}

TEST(KeepBest, NeedsEvaluations) {
  SftOptions options = Options(FreshFolder("sft"));
  options.keep_best = true;
  const absl::Status status = TrainSft(options, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr("evaluate_every"));
}

TEST(Logs, TellEveryStepAlsoOfATrainingThatFails) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  options.save_every = 0;
  options.evaluate_every = 2;
  EXPECT_FALSE(TrainSft(options, DieAfter(3)).ok());
  const auto lines = Lines(folder / "output.training/metrics.jsonl");
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[2]["step"], 3);
  EXPECT_GT(lines[2]["loss"], 0);
  EXPECT_TRUE(lines[1].contains("evaluation_token_accuracy"));
  EXPECT_FALSE(lines[2].contains("evaluation_token_accuracy"));
  EXPECT_EQ(Names(folder / "output.training/tensorboard").size(), 1u);
  // A fresh training begins its logs anew.
  ASSERT_TRUE(TrainSft(options, nullptr).ok());
  EXPECT_EQ(Lines(folder / "output.training/metrics.jsonl").size(), 10u);
  EXPECT_EQ(Names(folder / "output.training/tensorboard").size(), 1u);
}

TEST(ActivationCheckpoints, ChangeNoByteOfATraining) {
  const fs::path folder = FreshFolder("sft");
  SftOptions options = Options(folder);
  options.save_every = 0;
  std::vector<std::string> digests;
  for (const bool checkpoint : {false, true}) {
    options.output = folder / absl::StrCat("output", checkpoint);
    options.optimizer.checkpoint_activations = checkpoint;
    ASSERT_TRUE(TrainSft(options, nullptr).ok());
    digests.push_back(models::ModelDigest(options.output).value());
  }
  EXPECT_EQ(digests[0], digests[1]);
}

TEST(TrainRewardModel, TrainsAdaptersAndItsHead) {
  const fs::path folder = FreshFolder("reward");
  PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
  options.lora = {.rank = 4, .alpha = 16};
  options.save_every = 10;
  const auto metrics = TrainRewardModel(options, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_GT(metrics->at("ranking_accuracy"), 0.9);
  EXPECT_TRUE(models::LoadModel(options.output).value()->shape().has_score_head);
  EXPECT_TRUE(fs::exists(options.output / "adapter/adapter_config.json"));
}

TEST(TrainCostModel, ResumesWithAScoreHeadThatWasDrawn) {
  const fs::path folder = FreshFolder("cost");
  PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
  options.steps = 6;
  options.save_every = 2;
  ASSERT_TRUE(TrainCostModel(options, nullptr).ok());
  const std::string expected = models::ModelDigest(options.output).value();
  options.output = folder / "resumed";
  EXPECT_FALSE(TrainCostModel(options, DieAfter(3)).ok());
  options.resume = true;
  const auto metrics = TrainCostModel(options, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(models::ModelDigest(options.output).value(), expected);
  EXPECT_GE(metrics->at("calibration_error"), 0);
  EXPECT_LE(metrics->at("brier_score"), 1);
}

}  // namespace
}  // namespace rein::training
