#include "data/row_writer.h"

#include <parquet/file_reader.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "data/preferences.h"
#include "data/row_reader.h"
#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<Row> ReadAll(const std::filesystem::path& path) {
  ReadOptions options;
  options.picture_check = PictureCheck::kNone;
  auto reader = RowReader::Open(path, options);
  EXPECT_TRUE(reader.ok()) << reader.status();
  std::vector<Row> rows;
  while (reader.ok()) {
    auto row = reader->Next();
    EXPECT_TRUE(row.ok()) << row.status();
    if (!row.ok() || !row->has_value()) break;
    rows.push_back(**std::move(row));
  }
  return rows;
}

TEST(RowWriter, WhatARowDoesNotSayStaysUnsaid) {
  const std::vector<Row> rows = {
      {.question = "a prompt"},
      {.question = "a demonstration", .responses = {{"answer", {}, {}, {}}}, .category = "benign"},
      {.question = "a pair",
       .pictures = {{"bytes", "path"}},
       .responses = {{"a", true, 3, {}}, {"b", false, {}, 2}},
       .more_helpful = 2,
       .severity = "minor"}};
  const TestFolder folder;
  auto writer = RowWriter::Open(folder.path() / "rows.parquet");
  ASSERT_TRUE(writer.ok()) << writer.status();
  for (const Row& row : rows) ASSERT_EQ(writer->Add(row), absl::OkStatus());
  ASSERT_EQ(writer->Finish(), absl::OkStatus());
  EXPECT_EQ(ReadAll(folder.path() / "rows.parquet"), rows);
}

TEST(RowWriter, LeavesNothingBehindWithoutFinish) {
  const TestFolder folder;
  {
    auto writer = RowWriter::Open(folder.path() / "rows.parquet");
    ASSERT_TRUE(writer.ok());
    for (int i = 0; i < 2000; ++i) ASSERT_EQ(writer->Add({.question = "q"}), absl::OkStatus());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_FALSE(RowWriter::Open(folder.path() / "absent" / "rows.parquet").ok());
}

TEST(RowWriter, RefusesWhatTheSchemaHasNoPlaceFor) {
  const TestFolder folder;
  auto writer = RowWriter::Open(folder.path() / "rows.parquet");
  ASSERT_TRUE(writer.ok());
  const absl::Status status = writer->Add({.question = "q", .pictures = {{"a", ""}, {"b", ""}}});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("2 pictures"));
}

TEST(RowWriter, SplitsRowGroupsByRowsAndBytes) {
  const TestFolder folder;
  auto writer = RowWriter::Open(folder.path() / "rows.parquet");
  ASSERT_TRUE(writer.ok());
  for (int i = 0; i < 1500; ++i) ASSERT_EQ(writer->Add({.question = "q"}), absl::OkStatus());
  for (int i = 0; i < 5; ++i) {
    Row row{.question = "q", .pictures = {{std::string(size_t{16} << 20, static_cast<char>('a' + i)), ""}}};
    ASSERT_EQ(writer->Add(std::move(row)), absl::OkStatus());
  }
  ASSERT_EQ(writer->Finish(), absl::OkStatus());
  const auto parquet = parquet::ParquetFileReader::OpenFile(folder.path() / "rows.parquet");
  std::vector<int64_t> rows;
  for (int i = 0; i < parquet->metadata()->num_row_groups(); ++i)
    rows.push_back(parquet->metadata()->RowGroup(i)->num_rows());
  EXPECT_THAT(rows, ::testing::ElementsAre(1024, 478, 2, 1));
}

TEST(ToPreference, NamesWhatARowLacks) {
  const auto lacks = [](Row row, Need need) {
    return std::string(ToPreference(row, need).status().message());
  };
  Row row{.question = "q"};
  EXPECT_EQ(lacks(row, Need::kQuestion), "");
  EXPECT_EQ(lacks(row, Need::kAnswer), "no response");
  row.responses = {{"a", true, {}, {}}};
  EXPECT_EQ(lacks(row, Need::kAnswer), "");
  EXPECT_EQ(lacks(row, Need::kHelpfulPair), "no second response");
  row.responses.push_back({"b", {}, {}, {}});
  EXPECT_EQ(lacks(row, Need::kHelpfulPair), "no more_helpful_response_id");
  row.more_helpful = 1;
  EXPECT_EQ(lacks(row, Need::kHelpfulPair), "");
  EXPECT_EQ(lacks(row, Need::kPair), "no safer_response_id");
  row.safer = 2;
  EXPECT_EQ(lacks(row, Need::kPair), "no label of a response's safety");
  row.responses[1].is_safe = false;
  const auto preference = ToPreference(row, Need::kPair);
  ASSERT_TRUE(preference.ok()) << preference.status();
  EXPECT_EQ(preference->harmless_rate[0], 1);
  EXPECT_EQ(preference->harmless_rate[1], -1);
  row.pictures = {{"a", ""}, {"b", ""}};
  EXPECT_EQ(ToPreference(row, Need::kQuestion)->pictures, row.pictures);
}

TEST(ToPreference, SaysWhereHarmlessnessComesFrom) {
  Row row{.question = "q"};
  const auto lacks = [&row] { return std::string(ToPreference(row, Need::kModeration).status().message()); };
  EXPECT_EQ(lacks(), "no severity of the question and no label of a response");
  row.severity = "enormous";
  EXPECT_NE(lacks(), "");
  row.severity = "minor";
  EXPECT_EQ(lacks(), "");
  EXPECT_EQ(ToPreference(row, Need::kModeration)->harmlessness[0], Harmlessness::kUnknown);
  row.severity = "";
  row.responses = {{"a", {}, {}, {}}, {"b", false, {}, {}}};
  EXPECT_EQ(lacks(), "");
  auto preference = ToPreference(row, Need::kModeration);
  ASSERT_TRUE(preference.ok());
  EXPECT_EQ(preference->harmlessness[0], Harmlessness::kUnknown);
  EXPECT_EQ(preference->harmlessness[1], Harmlessness::kLabelled);
  // Nothing is made up on the way back.
  EXPECT_EQ(FromPreference(*preference).responses, row.responses);
  row.responses[1].harmless_rate = -2;
  preference = ToPreference(row, Need::kModeration);
  EXPECT_EQ(preference->harmlessness[1], Harmlessness::kRated);
  EXPECT_EQ(FromPreference(*preference).responses, row.responses);
}

TEST(ReadPreferences, TakesEveryFormatThatHasWhatIsNeeded) {
  const auto count = [](const std::string& name, Need need) {
    const auto rows = LoadPreferences(Fixture(name), {}, need);
    EXPECT_TRUE(rows.ok()) << rows.status();
    return rows.ok() ? static_cast<int>(rows->size()) : -1;
  };
  EXPECT_EQ(count("beavertails_v", Need::kPair), 18);
  EXPECT_EQ(count("safe_rlhf", Need::kPair), 4);
  EXPECT_EQ(count("spa_vl", Need::kHelpfulPair), 3);
  EXPECT_EQ(count("spa_vl", Need::kPair), 0);
  EXPECT_EQ(count("llava", Need::kAnswer), 4);
  EXPECT_EQ(count("beavertails", Need::kQuestion), 6);
  EXPECT_EQ(count("rows", Need::kPair), 1);
  const auto report = ReadPreferences(
      Fixture("beavertails"), {}, [](PreferenceRow) { return absl::OkStatus(); }, Need::kPair);
  ASSERT_TRUE(report.ok());
  EXPECT_EQ(report->kept, 0);
  EXPECT_EQ(report->dropped.at("no second response"), 6);
}

}  // namespace
}  // namespace rein::data
