// Training of guards.
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "guard/head/guard_config.h"
#include "guard/head/guard_head.h"
#include "models/safetensors.h"
#include "training/preference_rows.h"
#include "training/supervised.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

// Harm is in the question's word, and in the answer's.
data::PreferenceRow ModeratedRow(int i) {
  data::PreferenceRow row = ColourRow(i);
  const bool harmful = i % 2 == 0;
  row.question = harmful ? "burn?" : "what?";
  row.severity = harmful ? "severe" : "safe";
  row.category = harmful ? "animal_abuse" : "benign";
  row.response[0] = harmful ? "yes" : "a dog";
  row.response[1] = "no";
  for (int answer = 0; answer < 2; ++answer) {
    row.harmless_rate[answer] = harmful && answer == 0 ? -2 : 2;
    row.is_safe[answer] = row.harmless_rate[answer] >= 0;
  }
  return row;
}

GuardOptions Options(const fs::path& folder) {
  GuardOptions options = TinyOptions<GuardOptions>(folder, ModeratedRow);
  options.evaluation = WriteRows(folder, "evaluation.parquet", 24, ModeratedRow);
  return options;
}

std::string FileOf(const fs::path& file) { return ReadFile(file).value(); }

TEST(TrainGuard, LearnsAndWritesAGuardFolder) {
  const fs::path folder = FreshFolder("guard");
  const GuardOptions options = Options(folder);
  const auto metrics = TrainGuard(options, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  for (const char* name : {"question_accuracy", "answer_accuracy", "macro_f1", "category_macro_f1", "auc"})
    EXPECT_GT(metrics->at(name), 0.95) << name;
  EXPECT_EQ(metrics->at("false_positive_rate"), 0);
  const auto config = guard::ReadGuardConfig(options.output);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->metrics, *metrics);
  EXPECT_TRUE(config->held_out);
  EXPECT_TRUE(config->question[0].chosen);
  EXPECT_EQ(config->measured_answers, 2 * config->measured_questions);
  EXPECT_TRUE(guard::ReadGuardHead(options.output, 32).ok());
  // The model's own files know nothing of the head.
  const auto tensors = models::ReadSafetensors(options.output / "model.safetensors");
  ASSERT_TRUE(tensors.ok());
  EXPECT_EQ(tensors->size(), models::ReadSafetensors(options.model / "model.safetensors")->size());
  EXPECT_TRUE(models::LoadModel(options.output).ok());
}

TEST(TrainGuard, GoesOnFromTheHeadOfAGuard) {
  const fs::path folder = FreshFolder("guard");
  GuardOptions options = Options(folder);
  ASSERT_TRUE(TrainGuard(options, nullptr).ok());
  options.model = options.output;
  options.output = folder / "more";
  options.steps = 1;
  options.optimizer.learning_rate = 1e-9;
  const auto metrics = TrainGuard(options, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_GT(metrics->at("accuracy"), 0.95);
}

// Trains undisturbed, and dying after step 6 and then resumed; compares the bytes.
void ExpectExactResume(GuardOptions options, const fs::path& folder) {
  options.steps = 9;
  options.save_every = 4;
  options.evaluate_every = 3;
  options.output = folder / "undisturbed";
  const auto expected = TrainGuard(options, nullptr);
  ASSERT_TRUE(expected.ok()) << expected.status();
  options.output = folder / "resumed";
  const auto die = [](const TrainProgress& progress) {
    if (progress.step == 6) throw std::runtime_error("killed");
  };
  EXPECT_THAT(TrainGuard(options, die).status().message(), HasSubstr("killed"));
  options.resume = true;
  const auto metrics = TrainGuard(options, nullptr);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(*metrics, *expected);
  EXPECT_EQ(guard::GuardDigest(folder / "resumed").value(),
            guard::GuardDigest(folder / "undisturbed").value());
  EXPECT_EQ(FileOf(folder / "resumed" / guard::kHeadFile), FileOf(folder / "undisturbed" / guard::kHeadFile));
}

TEST(TrainGuard, EndsWithTheSameBytesWhenItIsResumed) {
  const fs::path folder = FreshFolder("guard");
  ExpectExactResume(Options(folder), folder);
}

TEST(TrainGuard, EndsWithTheSameBytesOfAdaptersAndKeepsTheBest) {
  const fs::path folder = FreshFolder("guard");
  GuardOptions options = Options(folder);
  options.lora = {.rank = 2, .alpha = 4, .dropout = 0.2};
  options.keep_best = true;
  ExpectExactResume(options, folder);
  EXPECT_TRUE(fs::exists(folder / "resumed/adapter/adapter_model.safetensors"));
  // The head trains along, whole.
  const auto start = guard::DrawGuardHead(32, options.seed);
  EXPECT_FALSE(at::equal(guard::ReadGuardHead(folder / "resumed", 32)->weight, start.weight));
}

TEST(TrainGuard, TakesAnyLabelAndCountsRowsWithoutOne) {
  const fs::path folder = FreshFolder("guard");
  GuardOptions options = Options(folder);
  ASSERT_EQ(WriteFileAtomically(
                folder / "rows.jsonl",
                "{\"question\": \"burn?\", \"image_severity\": \"severe\"}\n"
                "{\"question\": \"burn?\", \"response_1\": \"yes\", \"is_response_1_safe\": \"no\"}\n"
                "{\"question\": \"what?\", \"response_1\": \"a dog\", \"response_1_harmless_rate\": 2}\n"
                "{\"question\": \"what?\"}\n"
                "{\"question\": \"what?\", \"image_severity\": \"enormous\"}\n"),
            absl::OkStatus());
  options.data = folder / "rows.jsonl";
  options.steps = 2;
  options.evaluation.clear();
  double dropped = 0;
  const auto metrics = TrainGuard(
      options, [&](const TrainProgress& progress) { dropped = progress.metrics.at("rows_dropped"); });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(dropped, 2);
  EXPECT_FALSE(guard::ReadGuardConfig(options.output)->held_out);
}

TEST(TrainGuard, RefusesOptionsAndHeadsThatMakeNoSense) {
  const fs::path folder = FreshFolder("guard");
  GuardOptions options = Options(folder);
  options.false_positive_rate = 0.9;
  EXPECT_THAT(TrainGuard(options, nullptr).status().message(), HasSubstr("false_positive_rate is 0.9"));
  options = Options(folder);
  options.category_weight = -1;
  EXPECT_THAT(TrainGuard(options, nullptr).status().message(), HasSubstr("category_weight is -1"));
  options = Options(folder);
  ASSERT_EQ(guard::WriteGuardHead(guard::DrawGuardHead(7, 1), options.model), absl::OkStatus());
  const absl::Status status = TrainGuard(options, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr(guard::kHeadFile), HasSubstr("[23, 7]")));
}

}  // namespace
}  // namespace rein::training
