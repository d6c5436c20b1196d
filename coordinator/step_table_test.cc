#include "coordinator/step_table.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::Sample SampleOf(const std::string& id, int token = 1) {
  v1::Sample sample;
  sample.set_sample_id(id);
  sample.add_response_tokens(token);
  return sample;
}

StepTable Table() { return StepTable({"1.0/0", "1.0/1", "10.0/0"}, 2); }

TEST(StepTable, TakesEverySampleOnce) {
  StepTable table = Table();
  EXPECT_EQ(table.outstanding(), 3u);
  EXPECT_EQ(table.AddSample(SampleOf("1.0/1", 5)), 1u);
  EXPECT_EQ(table.AddSample(SampleOf("1.0/1", 6)), std::nullopt);
  EXPECT_EQ(table.sample(1).response_tokens(0), 5);
  EXPECT_EQ(table.outstanding(), 2u);
  EXPECT_TRUE(table.settled(1));
  EXPECT_FALSE(table.settled(0));
}

TEST(StepTable, KnowsNoSamplesOfOtherSteps) {
  StepTable table = Table();
  for (const char* id : {"", "2.0/0", "1.0/2", "1.0"}) EXPECT_EQ(table.AddSample(SampleOf(id)), std::nullopt);
  EXPECT_EQ(table.outstanding(), 3u);
}

TEST(StepTable, DropsWhatARefusedPromptStillOwes) {
  StepTable table = Table();
  ASSERT_TRUE(table.AddSample(SampleOf("1.0/0")).has_value());
  EXPECT_THAT(table.DropPrompt("1.0", "no picture"), ElementsAre(1));
  EXPECT_FALSE(table.dropped(0));
  EXPECT_TRUE(table.dropped(1));
  EXPECT_FALSE(table.dropped(2)) << "10.0 is another prompt than 1.0";
  EXPECT_EQ(table.AddSample(SampleOf("1.0/1")), std::nullopt) << "too late";
}

TEST(StepTable, SettlesARowOnceHoweverOftenItsPromptIsRefused) {
  StepTable table = Table();
  EXPECT_THAT(table.DropPrompt("1.0", "no picture"), ElementsAre(0, 1));
  EXPECT_THAT(table.DropPrompt("1.0", "no picture"), IsEmpty());
}

TEST(StepTable, KeepsTheFirstReason) {
  StepTable table({"1.0/0"}, 0);
  table.Drop(0, "first");
  table.Drop(0, "second");
  EXPECT_EQ(table.Take().at(0).drop_reason, "first");
}

TEST(StepTable, IsCompleteWhenEveryRowHasAllCellsOrIsDropped) {
  StepTable table = Table();
  EXPECT_EQ(table.incomplete(), 3u);
  ASSERT_TRUE(table.AddSample(SampleOf("1.0/0")).has_value());
  ASSERT_TRUE(table.AddSample(SampleOf("1.0/1")).has_value());
  table.Fill(0, 0, {{1.5f}, "a"});
  EXPECT_EQ(table.incomplete(), 3u);
  table.Fill(0, 1, {{2.5f}, "b"});
  EXPECT_EQ(table.incomplete(), 2u);
  table.Drop(1, "not a number");
  table.DropPrompt("10.0", "refused");
  EXPECT_EQ(table.incomplete(), 0u);

  const std::vector<StepTable::Row> rows = table.Take();
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].sample.sample_id(), "1.0/0");
  EXPECT_THAT(rows[0].cells[1].values, ElementsAre(2.5f));
  EXPECT_EQ(rows[0].cells[1].digest, "b");
  EXPECT_EQ(rows[0].drop_reason, "");
  EXPECT_EQ(rows[1].drop_reason, "not a number");
  EXPECT_EQ(rows[2].sample.sample_id(), "10.0/0");
  EXPECT_EQ(rows[2].drop_reason, "refused");
}

}  // namespace
}  // namespace rein::coordinator
