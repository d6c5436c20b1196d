#include "data/shuffled_rows.h"

#include <algorithm>
#include <set>

#include "absl/strings/str_cat.h"
#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr ShuffleOptions kShuffle = {.seed = 5, .window_rows = 48};

absl::StatusOr<ShuffledRows> Open(const std::filesystem::path& path, int64_t position = 0,
                                  const ShuffleOptions& shuffle = kShuffle) {
  return ShuffledRows::Open(path, {}, shuffle, position);
}

std::vector<std::string> Draw(ShuffledRows& rows, int count) {
  std::vector<std::string> questions;
  for (int i = 0; i < count; ++i) {
    const absl::StatusOr<Row> row = rows.Next();
    EXPECT_TRUE(row.ok()) << row.status();
    questions.push_back(row.ok() ? row->question : "");
  }
  return questions;
}

// 600 rows, of which every tenth is dropped.
std::filesystem::path WriteLines(const TestFolder& folder) {
  std::string text;
  for (int i = 0; i < 600; ++i) {
    absl::StrAppend(&text, "{\"question\": \"", i % 10 == 0 ? "" : absl::StrCat("q", i),
                    "\", \"answer\": \"a\"}\n");
  }
  return folder.Write("rows.jsonl", text);
}

TEST(ShuffledRows, GivesEveryRowOnceAnEpochInAnotherOrderEachTime) {
  auto rows = Open(Fixture("row_groups.parquet"));
  ASSERT_TRUE(rows.ok()) << rows.status();
  EXPECT_EQ(rows->size(), 200);
  const std::vector<std::string> first = Draw(*rows, 200), second = Draw(*rows, 200);
  EXPECT_THAT(std::set<std::string>(first.begin(), first.end()), SizeIs(200));
  EXPECT_THAT(std::set<std::string>(second.begin(), second.end()), SizeIs(200));
  EXPECT_NE(first, second);
  EXPECT_FALSE(std::is_sorted(first.begin(), first.end()));
  EXPECT_EQ(rows->report().rows, 400);
  EXPECT_EQ(rows->report().kept, 400);
}

TEST(ShuffledRows, ResumesExactlyFromEveryPosition) {
  const TestFolder folder;
  for (const std::filesystem::path& path : {Fixture("row_groups.parquet"), WriteLines(folder)}) {
    auto whole = Open(path);
    ASSERT_TRUE(whole.ok()) << whole.status();
    std::vector<int64_t> positions = {0};
    std::vector<std::string> questions;
    while (questions.size() < 1400) {  // on into the third epoch
      questions.push_back(Draw(*whole, 1)[0]);
      positions.push_back(whole->position());
    }
    for (size_t at = 0; at + 60 < questions.size(); at += 37) {
      auto resumed = Open(path, positions[at]);
      ASSERT_TRUE(resumed.ok()) << resumed.status();
      const auto begin = questions.begin() + static_cast<int64_t>(at);
      EXPECT_EQ(Draw(*resumed, 60), std::vector<std::string>(begin, begin + 60)) << "from " << positions[at];
      EXPECT_EQ(resumed->position(), positions[at + 60]);
    }
  }
}

TEST(ShuffledRows, SeedsGiveDifferentOrdersAndEqualSeedsTheSame) {
  const auto order = [](uint64_t seed) {
    auto rows = Open(Fixture("row_groups.parquet"), 0, {.seed = seed, .window_rows = 48});
    return Draw(*rows, 50);
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(ShuffledRows, MixesFilesAndCountsWhatIsDropped) {
  auto rows = ShuffledRows::Open(Fixture("beavertails_v"), {}, {.seed = 3});
  ASSERT_TRUE(rows.ok()) << rows.status();
  std::set<std::string> categories;
  for (int i = 0; i < 6; ++i) categories.insert(rows->Next()->category);
  EXPECT_GT(categories.size(), 1u);
  const TestFolder folder;
  auto lines = Open(WriteLines(folder));
  Draw(*lines, 540);
  EXPECT_EQ(lines->report().kept, 540);
  EXPECT_EQ(lines->report().dropped.at("no question"), lines->report().rows - 540);
}

TEST(ShuffledRows, RefusesWhatAPositionCannotTell) {
  ReadOptions options;
  options.drop_duplicates = true;
  const std::filesystem::path path = Fixture("row_groups.parquet");
  EXPECT_THAT(std::string(ShuffledRows::Open(path, options).status().message()),
              HasSubstr("convert the data first"));
  EXPECT_EQ(Open(path, -1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Open(path, 0, {.window_rows = 0}).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShuffledRows, EndsWhereNoRowCanBeUsedOrTheFileHasChanged) {
  const TestFolder folder;
  auto useless = Open(folder.Write("useless.jsonl", "{\"question\": \"\"}\n{\"question\": \" \"}\n"));
  ASSERT_TRUE(useless.ok()) << useless.status();
  EXPECT_THAT(std::string(useless->Next().status().message()), HasSubstr("none of 2 rows can be used"));
  const std::filesystem::path file = WriteLines(folder);
  auto rows = Open(file);
  ASSERT_TRUE(rows.ok());
  folder.Write("rows.jsonl", "{\"question\": \"q\"}\n");
  EXPECT_THAT(std::string(rows->Next().status().message()), HasSubstr("it has changed"));
}

}  // namespace
}  // namespace rein::data
