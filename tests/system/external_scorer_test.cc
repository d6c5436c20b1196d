// Scorers that are not ours: in the job file, swapped in, and when they misbehave. Nothing they fail to say
// is ever taken for a number.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/system/scorer_process.h"

namespace rein::system_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using Rows = std::vector<std::vector<std::string>>;

bool InStepTwo(const v1::JobStatus& status) { return status.step() >= 2; }

// The tiny job with a cost scorer at an address; actors.3.address is still to be set.
const fs::path& ExternalJob() {
  static const fs::path file = [] {
    std::string text = Bytes(TinyWorld().job);
    const std::string ours = "{role: cost, name: cost, model: models/cost}";
    const size_t at = text.find(ours);
    EXPECT_NE(at, std::string::npos);
    text.replace(at, ours.size(),
                 "{role: cost, name: cost, address: '127.0.0.1:1'}\n"
                 "  - {role: critic, name: cost, model: models/cost}");
    const fs::path path = TinyWorld().folder / "external.yaml";
    std::ofstream(path) << text;
    return path;
  }();
  return file;
}

std::vector<std::string> With(const ScorerProcess& scorer, std::vector<std::string> settings) {
  settings.push_back(absl::StrCat("actors.3.address=", scorer.address()));
  return settings;
}

CommandResult Swap(const Job& job, const ScorerProcess& scorer) {
  return RunCommand(
      {"rein", "swap", "cost", "--scorer", scorer.address(), "--run-dir", job.folder().string()});
}

// Every sample that counts has a cost of a scorer that is named.
void ExpectEveryCostToBeSomebodys(const Job& job) {
  EXPECT_THAT(QueryLedger(job.folder(),
                          "SELECT sample_id FROM scores_view WHERE cost IS NULL OR cost = 0 OR "
                          "COALESCE(cost_digest, '') = ''"),
              IsEmpty());
}

Rows Digests(const Job& job) {
  return QueryLedger(job.folder(), "SELECT DISTINCT cost_digest FROM scores_view");
}

TEST(External, ScoresAJobFromItsStartToItsEndWithPicturesInline) {
  ScorerProcess scorer(RunFolder("external"), "outside", /*inline_images=*/true);
  Job job("external", With(scorer, {"steps=2"}), ExternalJob());
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(Digests(job), (Rows{{"outside"}}));
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'"),
            (Rows{{"16"}}));
  ExpectEveryCostToBeSomebodys(job);
  EXPECT_EQ(scorer.process().Wait(absl::ZeroDuration()), -1) << "it is not ours to end";
}

TEST(External, ReplacesOneOfOursBySwap) {
  ScorerProcess scorer(RunFolder("external_swap"), "outside");
  Job job("external_swap", {"steps=1000"});
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const CommandResult swap = Swap(job, scorer);
  EXPECT_EQ(swap.exit_code, 0) << swap.out << swap.err;
  ASSERT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  EXPECT_THAT(Digests(job), SizeIs(2));
  EXPECT_EQ(QueryLedger(job.folder(),
                        "SELECT DISTINCT cost_digest FROM scores_view "
                        "WHERE step = (SELECT MAX(step) FROM scores_view)"),
            (Rows{{"outside"}}));
  EXPECT_THAT(
      QueryLedger(job.folder(),
                  "SELECT step FROM scores_view GROUP BY step HAVING COUNT(DISTINCT cost_digest) > 1"),
      IsEmpty());
  ExpectEveryCostToBeSomebodys(job);
}

TEST(External, ThatFailsItsCanaryNeverTakesOver) {
  ScorerProcess scorer(RunFolder("external_canary"), "outside");
  Job job("external_canary", {"steps=1000", "limits.canary_timeout_s=1"});
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  const std::pair<const char*, const char*> cases[] = {{"nan", "not a finite number"},
                                                       {"half", "not answered"},
                                                       {"silent", "Deadline"},
                                                       {"late", "Deadline"},
                                                       {"crash", scorer.address().c_str()}};
  for (const auto& [mode, reason] : cases) {
    scorer.SetMode(mode);
    const CommandResult swap = Swap(job, scorer);
    EXPECT_EQ(swap.exit_code, 1) << mode << swap.out;
    EXPECT_THAT(swap.err, HasSubstr("the old one goes on")) << mode;
    EXPECT_THAT(swap.err, HasSubstr(reason)) << mode;
  }
  ASSERT_TRUE(job.WaitForMoreSteps(2));
  job.StopEarly();
  EXPECT_THAT(Digests(job), SizeIs(1));
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'dropped'"), (Rows{{"0"}}));
  ExpectEveryCostToBeSomebodys(job);
}

TEST(External, ThatStopsAnsweringForSomeLosesThemAfterAllAttempts) {
  ScorerProcess scorer(RunFolder("external_half"), "outside");
  Job job("external_half", With(scorer, {"steps=6", "limits.score_attempts=3"}), ExternalJob());
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  scorer.SetMode("half");
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const Rows dropped =
      QueryLedger(job.folder(), "SELECT sample_id, drop_reason FROM samples WHERE state = 'dropped'");
  ASSERT_THAT(dropped, testing::Not(IsEmpty()));
  for (const auto& sample : dropped) {
    EXPECT_TRUE(absl::EndsWith(sample[0], "/1")) << sample[0];
    EXPECT_EQ(sample[1], "cost/cost/0: it was not answered for this sample");
    EXPECT_EQ(scorer.TimesAsked(sample[0]), 3) << sample[0];
  }
  int counted = 0;
  for (const auto& line : Metrics(job.folder())) counted += line["dropped"].get<int>();
  EXPECT_EQ(counted, dropped.size());
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0],
            std::to_string(48 - dropped.size()));
  ExpectEveryCostToBeSomebodys(job);
}

TEST(External, ThatAnswersNoNumbersAnyMoreFailsTheJobByName) {
  ScorerProcess scorer(RunFolder("external_nan"), "outside");
  Job job("external_nan", With(scorer, {"steps=1000"}), ExternalJob());
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  scorer.SetMode("nan");
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("cost/cost/0: it answered nan, not a finite number"));
  ExpectEveryCostToBeSomebodys(job);
  EXPECT_THAT(ProcessesWithArgument(job.folder().string()), IsEmpty());
}

TEST(External, ThatChangesWithinAStepIsRefused) {
  ScorerProcess scorer(RunFolder("external_rename"), "outside");
  Job job("external_rename", With(scorer, {"steps=1000"}), ExternalJob());
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  scorer.SetMode("rename");
  EXPECT_EQ(job.Wait(), 1) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr("a batch must not mix two scorers"));
}

bool WaitsForTheScorer(const v1::JobStatus& status) {
  for (const v1::Wait& wait : status.waiting_for()) {
    if (absl::StrContains(wait.what(), "cost/cost/0: answer at")) return true;
  }
  return false;
}

TEST(External, ThatCrashesIsWaitedFor) {
  ScorerProcess scorer(RunFolder("external_crash"), "outside");
  Job job("external_crash", With(scorer, {"steps=4"}), ExternalJob());
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  scorer.SetMode("crash");
  ASSERT_EQ(scorer.process().Wait(absl::Seconds(60)), 1);
  ASSERT_TRUE(job.WaitFor(WaitsForTheScorer));
  scorer.SetMode("good");
  scorer.StartAgain();
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'"),
            (Rows{{"32"}}));
  ExpectEveryCostToBeSomebodys(job);
}

TEST(External, ThatStaysAwayFailsTheJobByName) {
  ScorerProcess scorer(RunFolder("external_gone"), "outside");
  Job job("external_gone", With(scorer, {"steps=1000", "limits.start_timeout_s=3"}), ExternalJob());
  ASSERT_TRUE(job.WaitFor(InStepTwo));
  scorer.process().Signal(SIGKILL);
  EXPECT_EQ(job.Wait(absl::Seconds(60)), 1) << job.Output();
  EXPECT_THAT(job.Output(), HasSubstr(absl::StrCat("no scorer has answered at ", scorer.address())));
  EXPECT_THAT(job.Output(), HasSubstr("limits.start_timeout_s"));
}

}  // namespace
}  // namespace rein::system_test
