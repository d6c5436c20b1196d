#include "cli/control/trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "cli/test_folder.h"

namespace rein::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kTables[] = R"(
CREATE TABLE samples (sample_id TEXT, prompt_id TEXT, state TEXT, step INTEGER, coordinator_epoch INTEGER,
  answer TEXT, reward REAL, drop_reason TEXT);
CREATE TABLE costs (sample_id TEXT, coordinator_epoch INTEGER, name TEXT, cost REAL, signal REAL, digest TEXT,
  lambda REAL);
INSERT INTO samples VALUES ('p7/0', 'p7', 'abandoned', 3, 1, 'no', NULL, NULL);
INSERT INTO samples VALUES ('p7/0', 'p7', 'consumed', 3, 2, 'a red circle', 1.5, NULL);
INSERT INTO costs VALUES ('p7/0', 2, 'cost', -0.25, 0, 'abc', 1.5);
)";
constexpr char kTokens[] = R"(
CREATE TABLE tokens (sample_id TEXT, coordinator_epoch INTEGER, columns TEXT);
INSERT INTO tokens VALUES ('p7/0', 2, '{"token_ids":[5,6],"advantages":[0.5,-0.5],"values":{"reward":[1,2]}}');
)";

class TraceTest : public testing::Test {
 protected:
  void Execute(const char* sql) {
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open((folder_.path() / "ledger.sqlite").c_str(), &database), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    sqlite3_close(database);
  }
  std::string ErrorOf(const std::string& id) {
    return std::string(TraceSample(folder_.path(), id).status().message());
  }
  TestFolder folder_;
};

TEST_F(TraceTest, MergesAllLivesOfASample) {
  Execute(kTables);
  Execute(kTokens);
  const auto trace = TraceSample(folder_.path(), "p7/0");
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ((*trace)["sample_id"], "p7/0");
  ASSERT_EQ((*trace)["lives"].size(), 2);
  const auto& first = (*trace)["lives"][0];
  EXPECT_EQ(first["state"], "abandoned");
  EXPECT_TRUE(first["reward"].is_null());
  EXPECT_TRUE(first["costs"].empty());
  EXPECT_FALSE(first.contains("tokens"));
  const auto& second = (*trace)["lives"][1];
  EXPECT_EQ(second["answer"], "a red circle");
  EXPECT_EQ(second["reward"], 1.5);
  EXPECT_EQ(second["costs"]["cost"]["cost"], -0.25);
  EXPECT_EQ(second["costs"]["cost"]["digest"], "abc");
  EXPECT_EQ(second["tokens"]["advantages"][1], -0.5);
}

TEST_F(TraceTest, ReadsWhileTheLedgerIsBeingWritten) {
  Execute("PRAGMA journal_mode=WAL");
  Execute(kTables);
  sqlite3* writer = nullptr;
  ASSERT_EQ(sqlite3_open((folder_.path() / "ledger.sqlite").c_str(), &writer), SQLITE_OK);
  ASSERT_EQ(
      sqlite3_exec(writer, "BEGIN IMMEDIATE; UPDATE samples SET state = 'lost'", nullptr, nullptr, nullptr),
      SQLITE_OK);
  const auto trace = TraceSample(folder_.path(), "p7/0");
  ASSERT_TRUE(trace.ok()) << trace.status();
  EXPECT_EQ((*trace)["lives"][1]["state"], "consumed");
  sqlite3_close(writer);
}

TEST_F(TraceTest, ShowsTables) {
  Execute(kTables);
  Execute(kTokens);
  const std::string text = TraceText(*TraceSample(folder_.path(), "p7/0"));
  EXPECT_THAT(text, HasSubstr("answer             a red circle"));
  EXPECT_THAT(text, HasSubstr("  token_ids  advantages  values.reward\n  5          0.5         1\n"));
  EXPECT_THAT(
      text,
      HasSubstr("  constraint  cost   signal  lambda  model\n  cost        -0.25  0       1.5     abc\n"));
}

TEST_F(TraceTest, HintsAtTheNearestSample) {
  EXPECT_THAT(ErrorOf("p7/0"), HasSubstr("no ledger at"));
  Execute(kTables);
  EXPECT_THAT(ErrorOf("p7/1"), HasSubstr("did you mean 'p7/0'?"));
  EXPECT_THAT(ErrorOf("something else"), HasSubstr("ids look like 'p7/0'"));
}

TEST_F(TraceTest, NamesALedgerThatIsNone) {
  folder_.Write("ledger.sqlite", std::string(4096, 'x'));
  EXPECT_THAT(ErrorOf("p7/0"), HasSubstr("cannot read the ledger"));
  std::filesystem::remove(folder_.path() / "ledger.sqlite");
  Execute("CREATE TABLE other (a)");
  EXPECT_THAT(ErrorOf("p7/0"), HasSubstr("samples"));
}

TEST_F(TraceTest, NamesTokenColumnsThatAreNone) {
  Execute(kTables);
  Execute(
      "CREATE TABLE tokens (sample_id TEXT, coordinator_epoch INTEGER, columns TEXT);"
      "INSERT INTO tokens VALUES ('p7/0', 2, 'rubbish')");
  EXPECT_THAT(ErrorOf("p7/0"), HasSubstr("no JSON"));
}

}  // namespace
}  // namespace rein::cli
