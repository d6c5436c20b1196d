#include "training/training_folder.h"

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "training/tiny_llava.h"

namespace rein::training {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

absl::Status WriteOne(const fs::path& folder) {
  const absl::Status made = MakeFolder(folder);
  return made.ok() ? WriteFileAtomically(folder / "file", "text") : made;
}

TEST(TrainingFolder, StandsBesideTheOutput) {
  const fs::path folder = FreshFolder("run");
  EXPECT_EQ(TrainingFolder(folder / "out").State(3), folder / "out.training/step-3");
  EXPECT_EQ(TrainingFolder(folder / "out/").Best(5), folder / "out.training/best-5");
}

TEST(TrainingFolder, FindsTheNewestStateAndNoUnfinishedOne) {
  const fs::path folder = FreshFolder("run");
  TrainingFolder training(folder / "out");
  EXPECT_EQ(training.NewestState(), 0);
  for (const char* name : {"step-9", "step-10", "step-11.partial", "step-x", "best-40"}) {
    ASSERT_EQ(MakeFolder(folder / "out.training" / name), absl::OkStatus());
  }
  EXPECT_EQ(training.NewestState(), 10);
  training.KeepOnly(10, 0);
  EXPECT_FALSE(fs::exists(training.State(9)));
  EXPECT_TRUE(fs::exists(training.State(10)));
  EXPECT_FALSE(fs::exists(training.Best(40)));
}

TEST(TrainingFolder, AFolderAppearsWholeOrNotAtAll) {
  const fs::path folder = FreshFolder("run");
  ASSERT_EQ(TrainingFolder::Commit(folder / "whole", WriteOne), absl::OkStatus());
  EXPECT_EQ(ReadFile(folder / "whole/file").value(), "text");
  const auto fail = [](const fs::path& partial) {
    EXPECT_EQ(WriteOne(partial), absl::OkStatus());
    return absl::ResourceExhaustedError("full");
  };
  EXPECT_EQ(TrainingFolder::Commit(folder / "broken", fail).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(fs::exists(folder / "broken"));
  EXPECT_FALSE(fs::exists(folder / "broken.partial"));
}

TEST(TrainingFolder, LogsGoOnAfterTheLastCommonStep) {
  const fs::path folder = FreshFolder("run");
  const fs::path file = folder / "out.training/metrics.jsonl";
  {
    TrainingFolder training(folder / "out");
    ASSERT_EQ(training.OpenLogs(0), absl::OkStatus());
    for (int step = 1; step <= 12; ++step) ASSERT_EQ(training.Log(step, {{"loss", step}}), absl::OkStatus());
  }
  // A crash in the middle of a line.
  ASSERT_EQ(WriteFileAtomically(file, ReadFile(file).value() + "{\"step\": 13, \"lo"), absl::OkStatus());
  TrainingFolder training(folder / "out");
  ASSERT_EQ(training.OpenLogs(2), absl::OkStatus());
  ASSERT_EQ(training.Log(3, {{"loss", 0.5}}), absl::OkStatus());
  ASSERT_EQ(training.Flush(), absl::OkStatus());
  EXPECT_EQ(ReadFile(file).value(),
            "{\"step\":1,\"loss\":1.0}\n{\"step\":2,\"loss\":2.0}\n{\"step\":3,\"loss\":0.5}\n");
}

TEST(TrainingFolder, NamesALogThatCannotBeWritten) {
  const fs::path folder = FreshFolder("run");
  ASSERT_EQ(WriteFileAtomically(folder / "out.training", "a file"), absl::OkStatus());
  const absl::Status status = TrainingFolder(folder / "out").OpenLogs(0);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("out.training"));
}

TEST(Differences, NameWhatWasAddedRemovedOrChanged) {
  EXPECT_THAT(Differences({{"a", 1}, {"b", 2}, {"c", 3}}, {{"b", 2}, {"c", 4}, {"d", 5}}),
              ElementsAre("a", "c", "d"));
  EXPECT_THAT(Differences({{"a", 1}}, {{"a", 1}}), ElementsAre());
}

}  // namespace
}  // namespace rein::training
