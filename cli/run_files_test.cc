#include "cli/run_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

TEST(RunFiles, OutcomeThatIsNoneIsNamed) {
  TestFolder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadOutcome(folder.path()).status()));
  for (const char* text : {"", "[]", "{\"state\":\"finished\"}", "{\"state\":\"lost\",\"step\":1}",
                           "{\"state\":3,\"step\":1}", "{\"state\":\"failed\",\"step\":\"1\"}"}) {
    folder.Write("outcome.json", text);
    const absl::Status status = ReadOutcome(folder.path()).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("outcome.json"));
  }
  folder.Write("outcome.json", R"({"state":"failed","step":3,"error":"disk full"})");
  EXPECT_EQ(ReadOutcome(folder.path())->error, "disk full");
}

TEST(RunFiles, CommittedStepIgnoresPartialFolders) {
  TestFolder folder;
  EXPECT_EQ(CommittedStep(folder.path()), 0);
  folder.Write("checkpoints/step-9/manifest.json", "");
  folder.Write("checkpoints/step-10/manifest.json", "");
  folder.Write("checkpoints/step-11.partial/manifest.json", "");
  folder.Write("checkpoints/other/manifest.json", "");
  EXPECT_EQ(CommittedStep(folder.path()), 10);
}

TEST(RunFiles, FindsTheNewestLiveRun) {
  TestFolder folder;
  EXPECT_TRUE(absl::IsNotFound(FindLiveRun(folder.path() / "runs").status()));
  folder.Write("runs/dead/supervisor.lock", "1\n");
  folder.Write("runs/live/job.yaml", "");
  EXPECT_TRUE(absl::IsNotFound(FindLiveRun(folder.path() / "runs").status()));
  const auto lock = RunLock::Take(folder.path() / "runs/live");
  ASSERT_TRUE(lock.ok());
  EXPECT_EQ(*FindLiveRun(folder.path() / "runs"), folder.path() / "runs/live");
}

TEST(RunFiles, LastMetricsIsTheLastWholeLine) {
  TestFolder folder;
  EXPECT_EQ(LastMetrics(folder.path()), std::nullopt);
  folder.Write("metrics.jsonl", "{\"step\":1}\n{\"step\":2}\n{\"st");
  EXPECT_EQ((*LastMetrics(folder.path()))["step"], 2);
}

TEST(RunFiles, LastLogLineIsNotEmpty) {
  TestFolder folder;
  EXPECT_EQ(LastLogLine(folder.path() / "log"), "");
  EXPECT_EQ(LastLogLine(folder.Write("log", "")), "");
  EXPECT_EQ(LastLogLine(folder.Write("log", std::string(9000, 'x') + "\nfirst\nlast words\n \n")),
            "last words");
}

}  // namespace
}  // namespace rein::cli
