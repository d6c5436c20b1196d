#include "coordinator/sqlite.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator::sqlite {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SqliteTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    ASSERT_TRUE(MakeFolder(folder_).ok());
    database_ = Open();
    ASSERT_TRUE(database_->Execute("CREATE TABLE t(i, d, s)").ok());
  }
  void TearDown() override {
    database_.reset();
    fs::remove_all(folder_);
  }
  std::unique_ptr<Database> Open() { return Database::Open(folder_ / "db", absl::Milliseconds(10)).value(); }
  std::string Count() { return database_->QueryText("SELECT COUNT(*) FROM t").value(); }

  const fs::path folder_ = fs::path(testing::TempDir()) / absl::StrCat("rein_sqlite_test.", getpid());
  std::unique_ptr<Database> database_;
};

TEST_F(SqliteTest, BindsAndReadsEveryType) {
  Statement insert = database_->Prepare("INSERT INTO t VALUES(?, ?, ?)").value();
  EXPECT_EQ(insert.Run({int64_t{-5}, 0.1, "it's\n"}).value(), 1);
  EXPECT_EQ(insert.Run({int64_t{7}, -1.0, absl::string_view("a\0b", 3)}).value(), 1);
  std::vector<std::string> rows;
  Statement select = database_->Prepare("SELECT * FROM t WHERE i < ? ORDER BY i").value();
  ASSERT_TRUE(select
                  .Query({int64_t{100}},
                         [&](const Row& row) {
                           rows.push_back(absl::StrCat(row.Int(0), " ", row.Double(1), " ", row.Text(2)));
                         })
                  .ok());
  EXPECT_EQ(rows, (std::vector<std::string>{"-5 0.1 it's\n", std::string("7 -1 a\0b", 8)}));
}

TEST_F(SqliteTest, RollsBackWhatAFailedBodyDid) {
  const absl::Status status = database_->InTransaction([&] {
    EXPECT_TRUE(database_->Execute("INSERT INTO t VALUES(1, 2, 3)").ok());
    return absl::InternalError("no");
  });
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(Count(), "0");
}

TEST_F(SqliteTest, AWrongStatementIsNamed) {
  EXPECT_THAT(std::string(database_->Prepare("SELECT x FROM t").status().message()),
              HasSubstr("no such column"));
}

TEST_F(SqliteTest, AnotherWriterIsWaitedForAndThenNamed) {
  const std::unique_ptr<Database> other = Open();
  ASSERT_TRUE(other->Execute("BEGIN IMMEDIATE").ok());
  const absl::Status status = database_->Execute("INSERT INTO t VALUES(1, 2, 3)");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("another process writes to it"));
}

TEST_F(SqliteTest, AFullDatabaseIsResourceExhaustedAndKeepsWhatItHad) {
  ASSERT_TRUE(database_->Execute("INSERT INTO t VALUES(1, 2, 3); PRAGMA max_page_count = 4").ok());
  const absl::Status status = database_->InTransaction(
      [&] { return database_->Execute("INSERT INTO t VALUES(1, 2, zeroblob(100000))"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Count(), "1");
  EXPECT_TRUE(database_->Execute("INSERT INTO t VALUES(1, 2, 3)").ok());
}

TEST_F(SqliteTest, AFolderThatIsNotThereIsNamed) {
  const absl::Status status = Database::Open(folder_ / "missing" / "db", absl::Milliseconds(10)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("missing/db"));
}

}  // namespace
}  // namespace rein::coordinator::sqlite
