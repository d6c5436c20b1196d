// Pictures of all kinds inside the prompts: those that cannot be used are refused with the reason, and only
// those.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "data/image.h"
#include "data/preferences.h"
#include "tests/system/world.h"

namespace rein::system_test {
namespace {

using ::testing::AllOf;
using ::testing::SizeIs;

std::string Png(int width, int height) {
  const size_t bytes = size_t{3} * static_cast<size_t>(width) * static_cast<size_t>(height);
  return data::EncodePng({.width = width, .height = height, .pixels = std::vector<uint8_t>(bytes, 90)})
      .value_or("");
}

// Twelve prompts: seven as they should be and five whose question tells what is wrong with the picture.
fs::path OddPrompts() {
  std::vector<data::PreferenceRow> rows =
      data::LoadPreferences(TinyWorld().folder / "data/prompts.parquet").value();
  rows.resize(12);
  const std::string whole = rows[0].image_bytes;
  const std::pair<const char*, std::string> odd[] = {
      {"tiny", Png(1, 1)},
      {"none", ""},
      {"truncated", whole.substr(0, whole.size() / 2)},
      {"rubbish", whole.substr(0, 8) + std::string(300, 'x')},
      {"huge", Png(10000, 10000)},
  };
  for (size_t i = 0; i < std::size(odd); ++i) {
    rows[7 + i].question = odd[i].first;
    rows[7 + i].image_bytes = odd[i].second;
  }
  const fs::path path = TinyWorld().folder / "odd.parquet";
  EXPECT_TRUE(data::WritePreferences(path, rows).ok());
  return path;
}

TEST(Picture, ThatCannotBeUsedIsRefusedAndTheRestIsUsed) {
  Job job("pictures", {"steps=3", absl::StrCat("data.prompts=", OddPrompts().string())});
  ASSERT_EQ(job.Wait(), 0) << job.Output();
  const auto reasons = [&](const std::string& question) {
    return QueryLedger(job.folder(),
                       absl::StrCat("SELECT state, COALESCE(drop_reason, '') FROM samples WHERE ",
                                    "question = '", question, "'"));
  };
  const auto dropped = [](const std::string& why) {
    return AllOf(SizeIs(2), testing::Each(testing::ElementsAre("dropped", testing::ContainsRegex(why))));
  };
  EXPECT_THAT(reasons("truncated"), dropped("broken|decode|truncated"));
  EXPECT_THAT(reasons("rubbish"), dropped("broken|decode|header"));
  EXPECT_THAT(reasons("huge"), dropped("10000 ?x ?10000"));
  const auto used = AllOf(SizeIs(2), testing::Each(testing::ElementsAre("consumed", "")));
  EXPECT_THAT(reasons("tiny"), used);
  EXPECT_THAT(reasons("none"), used);
  EXPECT_EQ(QueryLedger(job.folder(), "SELECT COUNT(*) FROM samples WHERE state = 'consumed'")[0][0], "18");
  int counted = 0;
  for (const auto& line : Metrics(job.folder())) counted += line["dropped"].get<int>();
  EXPECT_EQ(counted, 6);
}

}  // namespace
}  // namespace rein::system_test
