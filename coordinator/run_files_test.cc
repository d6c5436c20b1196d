#include "coordinator/run_files.h"

#include <unistd.h>

#include <fstream>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "data/image.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

const std::string kDigest(64, 'a');

class RunFilesTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
    Open(0);
  }
  void TearDown() override { fs::remove_all(folder_); }
  void Open(int64_t committed_step) {
    auto files = RunFiles::Open(folder_, committed_step);
    ASSERT_TRUE(files.ok()) << files.status();
    files_ = *std::move(files);
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name, std::ios::binary) << text;
  }
  std::string Text(const std::string& name) { return ReadFile(folder_ / name).value(); }
  // All event files, one after the other.
  std::string Events() {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_ / "tensorboard"))
      names.insert(entry.path().string());
    std::string events;
    for (const std::string& name : names) events += ReadFile(name).value();
    return events;
  }

  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_run_files_test.", getpid());
  std::unique_ptr<RunFiles> files_;
};

TEST_F(RunFilesTest, MetricsGoToTheFileAndToTensorBoard) {
  const json line = {{"step", 1},
                     {"reward_mean", 0.5},
                     {"constraints", {{"cost", {{"lambda", 1.0}, {"held", false}}}}},
                     {"list", {1, 2}}};
  ASSERT_TRUE(files_->AppendMetrics(line).ok());
  EXPECT_EQ(Text("metrics.jsonl"), line.dump() + "\n");
  EXPECT_THAT(Events(), HasSubstr("reward_mean"));
  EXPECT_THAT(Events(), HasSubstr("constraints/cost/lambda"));
  EXPECT_THAT(Events(), Not(HasSubstr("held")));
  EXPECT_THAT(Events(), Not(HasSubstr("list")));
}

TEST_F(RunFilesTest, ALineOfMetricsNeedsItsStep) {
  EXPECT_EQ(files_->AppendMetrics({{"reward_mean", 1}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(files_->AppendMetrics({{"step", "1"}}).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_FALSE(fs::exists(folder_ / "metrics.jsonl"));
}

TEST_F(RunFilesTest, AnAnswerThatIsNotUtf8IsStillWritten) {
  ASSERT_TRUE(
      files_->AppendSamples({{{"step", 1}, {"answer", "a\xff"}}, {{"step", 1}, {"answer", "b\nc"}}}).ok());
  EXPECT_EQ(Text("samples.jsonl"),
            "{\"answer\":\"a\xef\xbf\xbd\",\"step\":1}\n{\"answer\":\"b\\nc\",\"step\":1}\n");
}

TEST_F(RunFilesTest, LinesOfLostStepsAreCutBack) {
  for (const char* name : {"metrics.jsonl", "samples.jsonl"}) {
    Write(name, "{\"step\":1}\n{\"step\":2,\"a\":1}\n{\"step\":2,\"a\":2}\n{\"step\":3}\n{\"step\":4}\n");
  }
  Open(2);
  for (const char* name : {"metrics.jsonl", "samples.jsonl"}) {
    EXPECT_EQ(Text(name), "{\"step\":1}\n{\"step\":2,\"a\":1}\n{\"step\":2,\"a\":2}\n");
  }
  ASSERT_TRUE(files_->AppendMetrics({{"step", 3}}).ok());
  EXPECT_TRUE(absl::EndsWith(Text("metrics.jsonl"), "\n{\"step\":3}\n"));
}

TEST_F(RunFilesTest, ALastLineCutOffAnywhereIsRemoved) {
  const std::string whole = "{\"step\":1}\n";
  const std::string last = "{\"step\":2,\"a\":[1]}";
  for (size_t length = 1; length < last.size(); ++length) {
    Write("metrics.jsonl", whole + last.substr(0, length));
    Open(2);
    ASSERT_EQ(Text("metrics.jsonl"), whole) << length;
  }
  // Only its line end is missing.
  Write("metrics.jsonl", whole + last);
  Open(2);
  EXPECT_EQ(Text("metrics.jsonl"), whole + last + "\n");
}

TEST_F(RunFilesTest, LinesThatAreNoMetricsAreRemoved) {
  Write("metrics.jsonl", "{\"step\":1}\n\n[]\n{}\n{\"step\":\"2\"}\n\xff\n{\"step\":1.5}\n{\"step\":2}\n");
  Open(2);
  EXPECT_EQ(Text("metrics.jsonl"), "{\"step\":1}\n{\"step\":2}\n");
}

TEST_F(RunFilesTest, AWholeFileIsNotRewritten) {
  Write("metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n");
  fs::create_hard_link(folder_ / "metrics.jsonl", folder_ / "link");
  Open(2);
  EXPECT_EQ(fs::hard_link_count(folder_ / "metrics.jsonl"), 2);
  Open(1);
  EXPECT_EQ(fs::hard_link_count(folder_ / "metrics.jsonl"), 1);
}

TEST_F(RunFilesTest, ALargeFileIsCutBackInPieces) {
  std::string kept;
  const std::string text(100000, 'x');
  for (int step = 1; step <= 100; ++step) kept += json{{"step", step}, {"answer", text}}.dump() + "\n";
  Write("samples.jsonl", kept + "{\"step\":101}\n");
  Open(100);
  EXPECT_TRUE(Text("samples.jsonl") == kept);
  EXPECT_FALSE(fs::exists(folder_ / "samples.jsonl.tmp"));
}

TEST_F(RunFilesTest, LaterEvaluationsAreRemovedAndTheStartStays) {
  for (const int64_t step : {0, 2, 4}) ASSERT_TRUE(files_->WriteEvaluation(step, {{"step", step}}).ok());
  Write("evaluations/notes.json", "mine");
  Open(2);
  EXPECT_TRUE(files_->HasEvaluation(0));
  EXPECT_TRUE(files_->HasEvaluation(2));
  EXPECT_FALSE(files_->HasEvaluation(4));
  EXPECT_EQ(Text("evaluations/notes.json"), "mine");
  Open(0);
  EXPECT_TRUE(files_->HasEvaluation(0));
  EXPECT_FALSE(files_->HasEvaluation(2));
}

TEST_F(RunFilesTest, AnEvaluationGoesToItsFileAndToTensorBoard) {
  const json evaluation = {{"step", 2},
                           {"ground_truth", {{"safe_rate", 0.5}}},
                           {"answers", {{{"prompt_id", "1"}, {"reward", 2.0}}}}};
  ASSERT_TRUE(files_->WriteEvaluation(2, evaluation).ok());
  EXPECT_EQ(json::parse(Text("evaluations/step-2.json")), evaluation);
  EXPECT_THAT(Events(), HasSubstr("evaluation/ground_truth/safe_rate"));
  EXPECT_THAT(Events(), Not(HasSubstr("answers")));
}

TEST_F(RunFilesTest, PicturesAreKeptOnceUnderTheirFormat) {
  const std::string png = data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}).value();
  ASSERT_TRUE(files_->KeepPicture(kDigest, png).ok());
  ASSERT_TRUE(files_->KeepPicture(kDigest, png).ok());
  EXPECT_EQ(Text("pictures/" + kDigest + ".png"), png);
  ASSERT_TRUE(files_->KeepPicture(std::string(64, 'b'), "\xff\xd8\xff\xe0 jpeg").ok());
  EXPECT_TRUE(fs::exists(folder_ / "pictures" / (std::string(64, 'b') + ".jpg")));
  ASSERT_TRUE(files_->KeepPicture(std::string(64, 'c'), "RIFF0000WEBPVP8 ").ok());
  EXPECT_TRUE(fs::exists(folder_ / "pictures" / (std::string(64, 'c') + ".webp")));
}

TEST_F(RunFilesTest, APictureCutOffByACrashIsWrittenAgain) {
  const std::string png = data::EncodePng({1, 1, {1, 2, 3}}).value();
  Write("pictures/" + kDigest + ".png", png.substr(0, 10));
  ASSERT_TRUE(files_->KeepPicture(kDigest, png).ok());
  EXPECT_EQ(Text("pictures/" + kDigest + ".png"), png);
}

TEST_F(RunFilesTest, WhatIsNoPictureOrNoDigestIsRefused) {
  const std::string png = data::EncodePng({1, 1, {1, 2, 3}}).value();
  EXPECT_EQ(files_->KeepPicture(kDigest, "<svg/>").code(), absl::StatusCode::kInvalidArgument);
  for (const std::string& digest : {std::string(), std::string("../../x"), std::string(64, '/')}) {
    EXPECT_EQ(files_->KeepPicture(digest, png).code(), absl::StatusCode::kInvalidArgument) << digest;
  }
  EXPECT_TRUE(fs::is_empty(folder_ / "pictures"));
}

TEST_F(RunFilesTest, TheLastMetricsComeNewestLast) {
  EXPECT_THAT(files_->LastMetrics(3).value(), SizeIs(0));
  for (const int step : {1, 2, 3}) ASSERT_TRUE(files_->AppendMetrics({{"step", step}}).ok());
  EXPECT_THAT(files_->LastMetrics(2).value(), ElementsAre(json{{"step", 2}}, json{{"step", 3}}));
  EXPECT_THAT(files_->LastMetrics(9).value(), SizeIs(3));
  EXPECT_THAT(files_->LastMetrics(0).value(), SizeIs(0));
}

TEST_F(RunFilesTest, TheOutcomeIsWritten) {
  ASSERT_TRUE(WriteOutcome(folder_, "failed", 7, "no \"space\"").ok());
  EXPECT_EQ(json::parse(Text("outcome.json")),
            (json{{"state", "failed"}, {"step", 7}, {"error", "no \"space\""}}));
}

TEST_F(RunFilesTest, AFullDiskIsTold) {
  fs::create_symlink("/dev/full", folder_ / "metrics.jsonl");
  fs::create_symlink("/dev/full", folder_ / "samples.jsonl");
  EXPECT_EQ(files_->AppendMetrics({{"step", 1}}).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(files_->AppendSamples({{{"step", 1}}}).code(), absl::StatusCode::kResourceExhausted);
  fs::create_symlink("/dev/full", folder_ / "pictures" / (kDigest + ".png.tmp"));
  const std::string png = data::EncodePng({1, 1, {1, 2, 3}}).value();
  EXPECT_EQ(files_->KeepPicture(kDigest, png).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(fs::exists(folder_ / "pictures" / (kDigest + ".png")));
}

}  // namespace
}  // namespace rein::coordinator
