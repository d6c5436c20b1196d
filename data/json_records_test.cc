#include "data/records.h"
#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

std::string Nested(size_t levels) {
  return "{\"a\": " + std::string(levels, '[') + std::string(levels, ']') + "}\n";
}

// What walks through a record calls itself at every level: 200,000 of them would be the end of the process.
TEST(JsonRecords, NestedTooDeeplyAreAProblemOfTheirOwn) {
  const TestFolder folder;
  const auto file = folder.Write("a.jsonl", Nested(63) + Nested(200'000) + Nested(1));
  auto source = OpenRecords(file, {});
  ASSERT_TRUE(source.ok()) << source.status();
  Record record;
  std::vector<std::string> problems;
  for (auto found = (*source)->Next(record); found.ok() && *found; found = (*source)->Next(record)) {
    problems.push_back(record.problem);
  }
  EXPECT_THAT(problems, testing::ElementsAre("", "nested more than 64 levels deep", ""));
}

}  // namespace
}  // namespace rein::data
