#include "coordinator/ledger.h"

#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/tiny_disk.h"
#include "coordinator/sqlite.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

std::vector<PlannedSample> Planned(const std::vector<std::string>& ids) {
  std::vector<PlannedSample> samples;
  for (const std::string& id : ids) {
    samples.push_back({id, "prompt-" + id, "benign", "digest", "What is it?", 0xffffffffffffffffu});
  }
  return samples;
}

std::vector<ScoredSample> Scored(const std::vector<std::string>& ids) {
  std::vector<ScoredSample> samples;
  for (const std::string& id : ids) {
    ScoredSample& sample = samples.emplace_back();
    sample.sample_id = id;
    sample.answer = "A 'cat'.";
    sample.first_version.set_coordinator_epoch(1);
    sample.last_version.set_number(3);
    sample.response_tokens = 4;
    sample.finish_reason = "stop";
    sample.reward = 0.1;
    sample.reward_digest = "r";
    sample.costs = {{"cost", -0.25, 0, "c", 1.5}};
  }
  return samples;
}

std::vector<DroppedSample> Dropped(const std::string& id, const std::string& reason) {
  std::vector<DroppedSample> samples(1);
  samples[0].sample_id = id;
  samples[0].reason = reason;
  return samples;
}

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
    Reopen();
  }
  void TearDown() override {
    ledger_.reset();
    fs::remove_all(folder_);
  }
  void Reopen() {
    ledger_.reset();
    auto ledger = Ledger::Open(file_);
    ASSERT_TRUE(ledger.ok()) << ledger.status();
    ledger_ = *std::move(ledger);
  }
  // Rows as another process sees them, columns joined with '|'.
  std::vector<std::string> Rows(const std::string& columns, const std::string& rest, int count) {
    const auto database = sqlite::Database::Open(file_, absl::Seconds(1)).value();
    sqlite::Statement select = database->Prepare(absl::StrCat("SELECT ", columns, " FROM ", rest)).value();
    std::vector<std::string> rows;
    EXPECT_TRUE(select
                    .Query({},
                           [&](const sqlite::Row& row) {
                             std::vector<std::string> cells;
                             for (int i = 0; i < count; ++i) cells.push_back(row.Text(i));
                             rows.push_back(absl::StrJoin(cells, "|"));
                           })
                    .ok());
    return rows;
  }
  std::map<std::string, int64_t> States() { return ledger_->CountStates().value(); }

  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_ledger_test.", getpid());
  const fs::path file_ = folder_ / "ledger.sqlite";
  const LedgerKey step1_{1, 1};
  const LedgerKey step2_{1, 2};
  std::unique_ptr<Ledger> ledger_;
};

TEST_F(LedgerTest, EveryEpochIsNewAcrossRestarts) {
  EXPECT_EQ(ledger_->NextEpoch().value(), 1);
  EXPECT_EQ(ledger_->NextEpoch().value(), 2);
  Reopen();
  EXPECT_EQ(ledger_->NextEpoch().value(), 3);
}

TEST_F(LedgerTest, FollowsASampleThroughItsLife) {
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a", "b", "c"})).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("planned", 3)));
  ASSERT_TRUE(ledger_->Close(step1_, Scored({"a", "b"}), Dropped("c", "no answer")).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("dropped", 1), Pair("scored", 2)));
  ASSERT_TRUE(ledger_->Consume(step1_).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("consumed", 2), Pair("dropped", 1)));
  EXPECT_THAT(Rows("sample_id, drop_reason", "samples WHERE state = 'dropped'", 2),
              ElementsAre("c|no answer"));
}

TEST_F(LedgerTest, KeepsEveryColumn) {
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a"})).ok());
  std::vector<ScoredSample> scored = Scored({"a"});
  scored[0].token_columns = "{\"token\":[1]}";
  ASSERT_TRUE(ledger_->Close(step1_, scored, {}).ok());
  EXPECT_THAT(
      Rows("sample_id, coordinator_epoch, step, prompt_id, state, category, image_digest, question, "
           "seed, answer, first_version_epoch, first_version, last_version_epoch, last_version, "
           "response_tokens, finish_reason, reward, reward_digest, updated_ns > 0",
           "samples", 19),
      ElementsAre("a|1|1|prompt-a|scored|benign|digest|What is it?|-1|A 'cat'.|1|0|0|3|4|stop|0.1|r|1"));
  EXPECT_THAT(Rows("sample_id, coordinator_epoch, name, cost, signal, digest, lambda", "costs", 7),
              ElementsAre("a|1|cost|-0.25|0.0|c|1.5"));
  EXPECT_THAT(Rows("sample_id, coordinator_epoch, columns", "tokens", 3), ElementsAre("a|1|{\"token\":[1]}"));
}

TEST_F(LedgerTest, ARepeatedCallChangesNothing) {
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a", "b"})).ok());
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(ledger_->Close(step1_, Scored({"a"}), Dropped("b", "why")).ok());
  // A late repetition of Plan must not take the scores away.
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a", "b"})).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("dropped", 1), Pair("scored", 1)));
  EXPECT_THAT(Rows("COUNT(*)", "costs", 1), ElementsAre("1"));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(ledger_->Consume(step1_).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("consumed", 1), Pair("dropped", 1)));
}

TEST_F(LedgerTest, ASampleBelongsToOneStepOfAnEpoch) {
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a"})).ok());
  const absl::Status status = ledger_->Plan(step2_, Planned({"b", "a"}));
  EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sample a belongs to step 1"));
  EXPECT_THAT(States(), ElementsAre(Pair("planned", 1)));
}

TEST_F(LedgerTest, ClosesAllOrNothing) {
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a", "b"})).ok());
  EXPECT_EQ(ledger_->Close(step1_, Scored({"a", "x"}), {}).code(), absl::StatusCode::kNotFound);
  const absl::Status status = ledger_->Close(step1_, Scored({"a"}), Dropped("y", "why"));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("sample y"));
  EXPECT_THAT(States(), ElementsAre(Pair("planned", 2)));
  EXPECT_THAT(Rows("name", "costs", 1), IsEmpty());
}

TEST_F(LedgerTest, ScoresOfAnOldEpochNeverCount) {
  ASSERT_TRUE(ledger_->Plan({2, 1}, Planned({"a"})).ok());
  EXPECT_EQ(ledger_->Close(step1_, Scored({"a"}), {}).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ledger_->Close({2, 2}, Scored({"a"}), {}).code(), absl::StatusCode::kNotFound);
}

TEST_F(LedgerTest, AbandonsStepsThatWereNotCommittedAndPlansThemAgain) {
  for (const LedgerKey& key : {step1_, step2_, LedgerKey{1, 3}}) {
    const std::vector<std::string> ids = {absl::StrCat("a", key.step), absl::StrCat("b", key.step)};
    ASSERT_TRUE(ledger_->Plan(key, Planned(ids)).ok());
    if (key.step == 3) continue;
    ASSERT_TRUE(ledger_->Close(key, Scored(ids), {}).ok());
    ASSERT_TRUE(ledger_->Consume(key).ok());
  }
  ASSERT_TRUE(ledger_->Reconcile(1).ok());
  EXPECT_THAT(States(), ElementsAre(Pair("abandoned", 4), Pair("consumed", 2)));
  EXPECT_EQ(ledger_->Close(step2_, Scored({"a2"}), {}).code(), absl::StatusCode::kNotFound);

  ASSERT_TRUE(ledger_->Plan({2, 2}, Planned({"a2", "b2"})).ok());
  ASSERT_TRUE(ledger_->Close({2, 2}, Scored({"a2", "b2"}), {}).ok());
  ASSERT_TRUE(ledger_->Consume({2, 2}).ok());
  EXPECT_THAT(
      Rows("sample_id, coordinator_epoch", "samples WHERE state = 'consumed' ORDER BY step, sample_id", 2),
      ElementsAre("a1|1", "b1|1", "a2|2", "b2|2"));
}

TEST_F(LedgerTest, TheViewShowsScoresThatCount) {
  ASSERT_TRUE(ledger_->Plan(step1_, Planned({"a"})).ok());
  ASSERT_TRUE(ledger_->Close(step1_, Scored({"a"}), {}).ok());
  ASSERT_TRUE(ledger_->Plan(step2_, Planned({"b", "c"})).ok());
  ASSERT_TRUE(ledger_->Close(step2_, Scored({"b"}), {}).ok());
  const std::string columns =
      "step, sample_id, coordinator_epoch, state, reward, reward_digest, cost_name, cost, cost_digest, "
      "lambda";
  EXPECT_THAT(Rows(columns, "scores_view ORDER BY step", 10),
              ElementsAre("1|a|1|scored|0.1|r|cost|-0.25|c|1.5", "2|b|1|scored|0.1|r|cost|-0.25|c|1.5"));
  ASSERT_TRUE(ledger_->Reconcile(1).ok());
  EXPECT_THAT(Rows("sample_id", "scores_view", 1), ElementsAre("a"));
}

TEST_F(LedgerTest, KeepsEvents) {
  ASSERT_TRUE(ledger_->RecordEvent({4, 2}, "swap", "cost: old -> new").ok());
  EXPECT_THAT(Rows("time_ns > 0, coordinator_epoch, step, kind, text", "events", 5),
              ElementsAre("1|4|2|swap|cost: old -> new"));
}

TEST_F(LedgerTest, WhatWasRecordedSurvivesADeathWithoutClosing) {
  ledger_.reset();
  const pid_t child = fork();
  if (child == 0) {
    auto ledger = Ledger::Open(file_);
    const bool planned = ledger.ok() && (*ledger)->Plan(step1_, Planned({"a", "b"})).ok();
    _exit(planned ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(waitpid(child, &state, 0), child);
  ASSERT_EQ(state, 0);
  Reopen();
  EXPECT_THAT(States(), ElementsAre(Pair("planned", 2)));
}

TEST_F(LedgerTest, AFileThatIsNoDatabaseIsNamedAndLeftAlone) {
  const fs::path other = folder_ / "other";
  const std::string text(5000, 'x');
  ASSERT_TRUE(WriteFileAtomically(other, text).ok());
  const absl::Status status = Ledger::Open(other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr(other.string()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("move the file away"));
  EXPECT_EQ(ReadFile(other).value(), text);
}

TEST_F(LedgerTest, ADatabaseOfAnotherProgramIsNotTouched) {
  const fs::path other = folder_ / "other";
  ASSERT_TRUE(sqlite::Database::Open(other, absl::Seconds(1)).value()->Execute("CREATE TABLE t(a)").ok());
  const std::string before = ReadFile(other).value();
  const absl::Status status = Ledger::Open(other).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a ledger"));
  EXPECT_EQ(ReadFile(other).value(), before);
}

TEST_F(LedgerTest, ALedgerOfANewerLayoutIsRefused) {
  ledger_.reset();
  ASSERT_TRUE(
      sqlite::Database::Open(file_, absl::Seconds(1)).value()->Execute("PRAGMA user_version = 9").ok());
  const absl::Status status = Ledger::Open(file_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("layout 9"));
}

TEST_F(LedgerTest, ACutOffLedgerIsDataLoss) {
  ledger_.reset();
  const uint64_t size = fs::file_size(file_);
  for (const uint64_t length : {size - 4096, size / 2, uint64_t{4096}, uint64_t{50}}) {
    SCOPED_TRACE(length);
    fs::resize_file(file_, length);
    EXPECT_EQ(Ledger::Open(file_).status().code(), absl::StatusCode::kDataLoss);
  }
}

TEST_F(LedgerTest, ADamagedPageIsDataLoss) {
  ledger_.reset();
  const std::string whole = ReadFile(file_).value();
  for (size_t page = 4096; page < whole.size(); page += 4096) {
    SCOPED_TRACE(page);
    std::string damaged = whole;
    damaged.replace(page, 8, "\xff\xff\xff\xff\xff\xff\xff\xff");
    ASSERT_TRUE(WriteFileAtomically(file_, damaged).ok());
    const absl::Status status = Ledger::Open(file_).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr(file_.string()));
  }
}

TEST_F(LedgerTest, AnEmptyFileBecomesALedger) {
  ASSERT_TRUE(WriteFileAtomically(folder_ / "empty", "").ok());
  EXPECT_TRUE(Ledger::Open(folder_ / "empty").ok());
}

TEST_F(LedgerTest, AFullDiskLosesNothingThatWasRecorded) {
  const TinyDisk disk(folder_ / "disk", 512 << 10);
  if (disk.folder().empty()) GTEST_SKIP() << "this process may not mount a small disk";
  const auto ledger = Ledger::Open(disk.folder() / "ledger.sqlite").value();
  ASSERT_TRUE(ledger->Plan(step1_, Planned({"a"})).ok());
  std::vector<PlannedSample> large = Planned({"b"});
  large[0].question.assign(2 << 20, 'x');
  EXPECT_EQ(ledger->Plan(step1_, large).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(ledger->CountStates().value(), ElementsAre(Pair("planned", 1)));
  EXPECT_TRUE(ledger->Plan(step1_, Planned({"c"})).ok());
  EXPECT_THAT(ledger->CountStates().value(), ElementsAre(Pair("planned", 2)));
}

}  // namespace
}  // namespace rein::coordinator
