#include "training/supervised.h"

#include <ATen/ATen.h>

#include "base/file.h"
#include "data/preferences.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/processor.h"
#include "models/vision_language_model.h"
#include "training/corpus.h"
#include "training/preference_rows.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;

TEST(TrainSft, OverfitsATinyDataSetAndWritesAModelThatLoads) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.evaluate_every = 15;
  std::vector<TrainProgress> seen;
  const auto metrics = TrainSft(options, [&](const TrainProgress& progress) { seen.push_back(progress); });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_GT(metrics->at("token_accuracy"), 0.99);
  EXPECT_LT(metrics->at("loss"), 0.2);
  ASSERT_EQ(seen.size(), 40u);
  EXPECT_EQ(seen[0].step, 1);
  EXPECT_EQ(seen[0].total, 40);
  EXPECT_GT(seen[0].metrics.at("loss"), seen[39].metrics.at("loss"));
  for (const int step : {15, 30, 40}) EXPECT_THAT(seen[step - 1].metrics, Contains(Key("evaluation_loss")));
  EXPECT_EQ(seen[13].metrics.count("evaluation_loss"), 0u);
  EXPECT_TRUE(models::LoadModel(options.output).ok());
  EXPECT_TRUE(models::Processor::Load(options.output).ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "output.partial"));
}

TEST(TrainSft, EqualSeedsGiveEqualBytes) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.steps = 5;
  options.batch = 3;
  std::vector<std::string> digests;
  for (const std::string name : {"first", "second", "other"}) {
    options.output = folder / name;
    options.seed = name == "other" ? 2 : 1;
    ASSERT_TRUE(TrainSft(options, nullptr).ok());
    const absl::StatusOr<std::string> digest = models::ModelDigest(options.output);
    ASSERT_TRUE(digest.ok());
    digests.push_back(*digest);
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_NE(digests[0], digests[2]);
}

TEST(TrainSft, ChecksItsOptionsBeforeItLoadsAnything) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options;
  options.output = folder / "output";
  EXPECT_THAT(TrainSft(options, nullptr).status().message(), HasSubstr("steps must be at least 1"));
  options.steps = 1;
  options.batch = 0;
  EXPECT_THAT(TrainSft(options, nullptr).status().message(), HasSubstr("batch must be at least 1"));
  options.batch = 1;
  ASSERT_EQ(MakeFolder(options.output), absl::OkStatus());
  ASSERT_EQ(WriteFileAtomically(options.output / "kept", "kept"), absl::OkStatus());
  EXPECT_EQ(TrainSft(options, nullptr).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(options.output / "kept"));
}

TEST(TrainSft, RefusesAMissingModelAndMissingData) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.data = folder / "absent.parquet";
  EXPECT_EQ(TrainSft(options, nullptr).status().code(), absl::StatusCode::kNotFound);
  options.model = folder / "absent";
  EXPECT_EQ(TrainSft(options, nullptr).status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

TEST(TrainSft, StartsFromRandomWeightsWhereThereAreNone) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.steps = 1;
  std::filesystem::remove(options.model / "model.safetensors");
  ASSERT_TRUE(TrainSft(options, nullptr).ok());
  EXPECT_TRUE(models::LoadModel(options.output).ok());
  options.output = folder / "other";
  ASSERT_EQ(WriteFileAtomically(options.model / "model-00001-of-00002.safetensors", "shard"),
            absl::OkStatus());
  EXPECT_EQ(TrainSft(options, nullptr).status().code(), absl::StatusCode::kNotFound);
  PreferenceOptions scorer = TinyOptions<PreferenceOptions>(FreshFolder("reward"), SeparableRow);
  std::filesystem::remove(scorer.model / "model.safetensors");
  EXPECT_EQ(TrainRewardModel(scorer, nullptr).status().code(), absl::StatusCode::kNotFound);
}

TEST(OfflineTrainings, AskOfRowsOnlyWhatTheyUse) {
  const std::filesystem::path folder = FreshFolder("rows");
  const auto with = [&](auto options, const std::string& row) {
    options.data = options.evaluation = folder / "rows.jsonl";
    options.steps = 1;
    EXPECT_EQ(WriteFileAtomically(options.data, row), absl::OkStatus());
    return options;
  };
  const std::string demonstration = R"({"question": "what?", "answer": "red"})";
  EXPECT_TRUE(
      TrainSft(with(TinyOptions<SftOptions>(FreshFolder("sft"), ColourRow), demonstration), nullptr).ok());
  const std::string pair =
      R"({"question": "what?", "response_1": "red", "response_2": "no", "more_helpful_response_id": 1})";
  EXPECT_TRUE(TrainRewardModel(
                  with(TinyOptions<PreferenceOptions>(FreshFolder("reward"), SeparableRow), pair), nullptr)
                  .ok());
  for (const std::string& row : {demonstration, pair}) {
    const auto cost = with(TinyOptions<PreferenceOptions>(FreshFolder("cost"), SeparableRow), row);
    EXPECT_THAT(TrainCostModel(cost, nullptr).status().message(), HasSubstr("none of 1 rows"));
  }
}

TEST(TrainSft, NamesTheRowOfABrokenPicture) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  std::vector<data::PreferenceRow> rows = {ColourRow(0), ColourRow(1), ColourRow(2)};
  rows[1].pictures[0].bytes = "no picture";
  ASSERT_EQ(data::WritePreferences(options.data, rows), absl::OkStatus());
  const absl::Status status = TrainSft(options, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("train.parquet"), HasSubstr("row 2")));
}

TEST(TrainSft, DivergenceIsAnErrorAndLeavesNoOutput) {
  const std::filesystem::path folder = FreshFolder("sft");
  SftOptions options = TinyOptions<SftOptions>(folder, ColourRow);
  options.optimizer.learning_rate = 1e30;
  const absl::Status status = TrainSft(options, nullptr).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(status.message(), HasSubstr("row "));
  EXPECT_FALSE(std::filesystem::exists(options.output));
}

TEST(TrainRewardModel, RanksASeparableDataSet) {
  const std::filesystem::path folder = FreshFolder("reward");
  PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
  options.evaluation = WriteRows(folder, "evaluation.parquet", 12, SeparableRow);
  options.freeze = {"vision", "projector"};
  Metrics progress_metrics;
  const auto metrics =
      TrainRewardModel(options, [&](const TrainProgress& progress) { progress_metrics = progress.metrics; });
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_GT(metrics->at("ranking_accuracy"), 0.9);
  EXPECT_GT(progress_metrics.at("accuracy"), 0.9);
  EXPECT_EQ(metrics->count("auc"), 0u);
  const auto model = models::LoadModel(options.output);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE((*model)->shape().has_score_head);
}

TEST(TrainCostModel, RanksAndSeparatesByTheSignOfTheScore) {
  for (const bool binary : {false, true}) {
    const std::filesystem::path folder = FreshFolder(binary ? "binary" : "graded");
    PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
    options.binary_labels = binary;
    options.steps = 60;
    options.optimizer.learning_rate = 3e-3;
    const auto metrics = TrainCostModel(options, nullptr);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    EXPECT_GT(metrics->at("ranking_accuracy"), 0.9);
    EXPECT_GT(metrics->at("sign_accuracy"), 0.9);
    EXPECT_GT(metrics->at("auc"), 0.9);
  }
}

TEST(TrainCostModel, MicroBatchesDoNotChangeTheFirstLoss) {
  std::vector<double> losses;
  for (const int64_t micro_batch : {int64_t{1}, int64_t{4096}}) {
    const std::filesystem::path folder = FreshFolder("cost");
    PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
    options.steps = 1;
    options.optimizer.micro_batch_tokens = micro_batch;
    double loss = 0;
    ASSERT_TRUE(TrainCostModel(options, [&](const TrainProgress& progress) {
                  loss = progress.metrics.at("loss");
                }).ok());
    losses.push_back(loss);
  }
  EXPECT_NEAR(losses[0], losses[1], 1e-5);
}

class CorpusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = FreshFolder("corpus");
    WriteTinyFolder(folder_);
    auto processor = models::Processor::Load(folder_);
    ASSERT_TRUE(processor.ok()) << processor.status();
    processor_ = *std::move(processor);
    shape_.vocab_size = kTinyVocabulary;
    shape_.image_token_id = kTinyImage;
    shape_.max_positions = 256;
  }
  std::filesystem::path folder_;
  std::unique_ptr<models::Processor> processor_;
  models::ModelShape shape_;
};

TEST_F(CorpusTest, DecodesEachDistinctPictureOnce) {
  const auto corpus = Corpus::Load(WriteRows(folder_, "rows.parquet", 8, ColourRow), *processor_, shape_);
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->rows().size(), 8u);
  EXPECT_EQ(corpus->pictures(), 2);
  const auto first = corpus->SequenceOf(corpus->rows()[0], 0),
             third = corpus->SequenceOf(corpus->rows()[2], 1);
  ASSERT_TRUE(first.ok() && third.ok());
  EXPECT_EQ(first->images[0], third->images[0]);
  EXPECT_EQ(std::count(first->prompt.begin(), first->prompt.end(), kTinyImage), kTinyPlaceholders);
  EXPECT_EQ(first->response, (std::vector<int32_t>{' ', 'r', 'e', 'd', kTinyEnd}));
  EXPECT_EQ(third->response, (std::vector<int32_t>{' ', 'n', 'o', kTinyEnd}));
}

TEST_F(CorpusTest, GivesTheSamePixelsBeyondItsMemoryLimit) {
  const std::filesystem::path rows = WriteRows(folder_, "rows.parquet", 4, ColourRow);
  const auto roomy = Corpus::Load(rows, *processor_, shape_);
  const auto tight = Corpus::Load(rows, *processor_, shape_, {.pixel_bytes = 0});
  ASSERT_TRUE(roomy.ok() && tight.ok());
  for (size_t i = 0; i < 4; ++i) {
    const auto kept = roomy->SequenceOf(roomy->rows()[i], 0), again = tight->SequenceOf(tight->rows()[i], 0);
    ASSERT_TRUE(kept.ok() && again.ok());
    EXPECT_TRUE(at::equal(kept->images[0]->pixels, again->images[0]->pixels));
    // Processed again, but once for all that hold it.
    EXPECT_EQ(tight->SequenceOf(tight->rows()[i], 1)->images[0], again->images[0]);
  }
  EXPECT_EQ(roomy->spilled_bytes(), 0);
  EXPECT_EQ(tight->spilled_bytes(),
            static_cast<int64_t>(TinyPng(250, 20, 20).size() + TinyPng(20, 20, 250).size()));
}

TEST(TrainRewardModel, GivesTheSameBytesWhenPicturesDoNotFit) {
  const std::filesystem::path folder = FreshFolder("reward");
  PreferenceOptions options = TinyOptions<PreferenceOptions>(folder, SeparableRow);
  options.steps = 4;
  options.batch = 5;
  options.save_every = 1;
  std::vector<std::string> digests;
  for (const int64_t bytes : {int64_t{1} << 20, int64_t{0}}) {
    options.picture_bytes = bytes;
    options.output = folder / std::to_string(bytes);
    ASSERT_TRUE(TrainRewardModel(options, nullptr).ok());
    digests.push_back(models::ModelDigest(options.output).value());
  }
  options.output = folder / "resumed";
  const auto die = [](const TrainProgress& progress) {
    if (progress.step == 3) throw std::runtime_error("killed");
  };
  EXPECT_FALSE(TrainRewardModel(options, die).ok());
  options.resume = true;
  ASSERT_TRUE(TrainRewardModel(options, nullptr).ok());
  digests.push_back(models::ModelDigest(options.output).value());
  EXPECT_EQ(digests[1], digests[0]);
  EXPECT_EQ(digests[2], digests[0]);
}

TEST_F(CorpusTest, TakesRowsWithoutAPictureAndDemonstrationsWhereTheyWillDo) {
  const std::filesystem::path file = folder_ / "rows.jsonl";
  ASSERT_EQ(WriteFileAtomically(file, "{\"question\": \"what?\", \"answer\": \"red\"}\n"), absl::OkStatus());
  const auto corpus = Corpus::Load(file, *processor_, shape_, {}, data::Need::kAnswer);
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  const auto sequence = corpus->SequenceOf(corpus->rows()[0], 0);
  ASSERT_TRUE(sequence.ok()) << sequence.status();
  EXPECT_TRUE(sequence->images.empty());
  EXPECT_EQ(std::count(sequence->prompt.begin(), sequence->prompt.end(), kTinyImage), 0);
  EXPECT_EQ(sequence->response, (std::vector<int32_t>{' ', 'r', 'e', 'd', kTinyEnd}));
  EXPECT_THAT(Corpus::Load(file, *processor_, shape_).status().message(), HasSubstr("none of 1 rows"));
}

TEST_F(CorpusTest, CountsRowsThatAreTooLongAndRefusesToBeEmpty) {
  std::vector<data::PreferenceRow> rows = {ColourRow(0), ColourRow(1)};
  rows[1].response[1] = std::string(300, 'x');
  ASSERT_EQ(data::WritePreferences(folder_ / "rows.parquet", rows), absl::OkStatus());
  const auto corpus = Corpus::Load(folder_ / "rows.parquet", *processor_, shape_);
  ASSERT_TRUE(corpus.ok()) << corpus.status();
  EXPECT_EQ(corpus->rows().size(), 1u);
  EXPECT_EQ(corpus->dropped(), 1);
  shape_.max_positions = 10;
  EXPECT_THAT(Corpus::Load(folder_ / "rows.parquet", *processor_, shape_).status().message(),
              HasSubstr("none of 2 rows"));
}

}  // namespace
}  // namespace rein::training
