#include "cli/run/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/run/job_for_test.h"
#include "cli/run/resume_rules.h"
#include "transport/job_file.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunFolderTest : public testing::Test {
 protected:
  RunFolderTest() : job_(WriteTestJob(folder_)), run_(folder_.path() / "run") {}
  absl::StatusOr<RunFolder> Prepare(bool resume, const std::vector<std::string>& overrides = {}) const {
    return PrepareRunFolder({job_.string(), overrides, run_.string(), resume}, absl::Now());
  }
  std::string RefusalOf(bool resume, const std::vector<std::string>& overrides = {}) const {
    return std::string(Prepare(resume, overrides).status().message());
  }
  void End(const std::string& outcome) const { folder_.Write("run/outcome.json", outcome); }

  TestFolder folder_;
  const std::filesystem::path job_, run_;
};

TEST_F(RunFolderTest, HoldsWhatTheContractNames) {
  const auto folder = Prepare(false, {"steps=7"});
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_EQ(folder->path, run_);
  EXPECT_TRUE(std::filesystem::is_directory(run_ / "logs"));
  EXPECT_FALSE(ReadLine(run_ / "job_id")->empty());
  EXPECT_EQ(*ReadLine(run_ / "token"), folder->token);
  struct stat info;
  ASSERT_EQ(stat((run_ / "token").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
  EXPECT_EQ(*ReadLine(run_ / "supervisor.lock"), absl::StrCat(getpid()));
  const auto stored = transport::ReadJob(run_ / "job.yaml", {});
  ASSERT_TRUE(stored.ok()) << stored.status();
  EXPECT_THAT(ChangedFields(*stored, folder->job), IsEmpty());
  EXPECT_EQ(stored->steps(), 7);
  EXPECT_EQ(stored->actors(0).model(), (folder_.path() / "models/sft").string());
}

TEST_F(RunFolderTest, MakesNothingForABadJob) {
  EXPECT_THAT(RefusalOf(false, {"stpes=1"}), HasSubstr("did you mean 'steps'?"));
  EXPECT_FALSE(std::filesystem::exists(run_));
}

TEST_F(RunFolderTest, IsNamedAfterJobAndTime) {
  const absl::Time time = absl::FromCivil(absl::CivilSecond(2025, 1, 31, 23, 59, 58), absl::LocalTimeZone());
  EXPECT_EQ(DefaultRunDir("my job/1", time), "runs/my-job-1-20250131-235958");
}

TEST_F(RunFolderTest, RefusesAnUnfinishedRunAndNamesResume) {
  ASSERT_TRUE(Prepare(false).ok());
  EXPECT_THAT(RefusalOf(false), HasSubstr("--resume"));
  EXPECT_TRUE(Prepare(true).ok());
}

TEST_F(RunFolderTest, RefusesARunThatIsGoingOnAndNamesItsProcess) {
  const auto first = Prepare(false);
  ASSERT_TRUE(first.ok());
  for (const bool resume : {false, true}) {
    EXPECT_THAT(RefusalOf(resume), HasSubstr(absl::StrCat("process ", getpid())));
  }
  EXPECT_EQ(RunLock::Holder(run_), getpid());
}

TEST_F(RunFolderTest, IsFreeOnceTheSupervisorIsGone) {
  { ASSERT_TRUE(Prepare(false).ok()); }
  EXPECT_EQ(RunLock::Holder(run_), std::nullopt);
}

TEST_F(RunFolderTest, ResumeKeepsIdentityAndRemovesTheOldOutcome) {
  std::string id;
  {
    ASSERT_TRUE(Prepare(false).ok());
    id = *ReadLine(run_ / "job_id");
  }
  End(R"({"state":"stopped","step":2,"error":""})");
  folder_.Write("run/coordinator.address", "127.0.0.1:1\n");
  const auto resumed = Prepare(true);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_FALSE(resumed->finished);
  EXPECT_EQ(*ReadLine(run_ / "job_id"), id);
  EXPECT_FALSE(std::filesystem::exists(run_ / "outcome.json"));
  EXPECT_FALSE(std::filesystem::exists(run_ / "coordinator.address"));
}

TEST_F(RunFolderTest, KnowsAFinishedRunUnlessStepsAreRaised) {
  { ASSERT_TRUE(Prepare(false).ok()); }
  End(R"({"state":"finished","step":4,"error":""})");
  EXPECT_THAT(RefusalOf(false), HasSubstr("finished run"));
  {
    const auto again = Prepare(true);
    ASSERT_TRUE(again.ok());
    EXPECT_TRUE(again->finished);
    EXPECT_TRUE(std::filesystem::exists(run_ / "outcome.json"));
  }
  const auto raised = Prepare(true, {"steps=8"});
  ASSERT_TRUE(raised.ok()) << raised.status();
  EXPECT_FALSE(raised->finished);
  EXPECT_EQ(transport::ReadJob(run_ / "job.yaml", {})->steps(), 8);
}

TEST_F(RunFolderTest, ResumeRefusesOtherChangesByName) {
  { ASSERT_TRUE(Prepare(false).ok()); }
  EXPECT_TRUE(
      Prepare(true, {"steps=9", "checkpoint.every=1", "evaluation.prompts=3", "limits.max_restarts=1"}).ok());
  const std::string refusal = RefusalOf(true, {"algorithm.gamma=0.9", "seed=2", "steps=10"});
  EXPECT_THAT(refusal, HasSubstr("algorithm.gamma: 1.0 -> 0.9"));
  EXPECT_THAT(refusal, HasSubstr("seed: 1 -> 2"));
  EXPECT_THAT(refusal, Not(HasSubstr("steps:")));
  EXPECT_EQ(transport::ReadJob(run_ / "job.yaml", {})->steps(), 9);
}

TEST_F(RunFolderTest, ResumesWithItsOwnJobWhereNoneIsGiven) {
  { ASSERT_TRUE(Prepare(false, {"steps=6"}).ok()); }
  const auto resumed = PrepareRunFolder({"", {}, run_.string(), true}, absl::Now());
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->job.steps(), 6);
}

TEST_F(RunFolderTest, HasNothingToResumeInANewFolder) {
  EXPECT_THAT(RefusalOf(true), HasSubstr("leave out --resume"));
  EXPECT_FALSE(std::filesystem::exists(run_));
}

TEST_F(RunFolderTest, RefusesAFolderWithOtherThings) {
  folder_.Write("run/thesis.tex", "");
  EXPECT_THAT(RefusalOf(false), HasSubstr("holds no run"));
  EXPECT_FALSE(std::filesystem::exists(run_ / "supervisor.lock"));
}

}  // namespace
}  // namespace rein::cli
