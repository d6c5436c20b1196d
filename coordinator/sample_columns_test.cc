#include "coordinator/sample_columns.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using ::testing::ElementsAre;

v1::Job TwoConstraints() {
  v1::Job job;
  job.add_constraints()->set_name("harm");
  job.add_constraints()->set_name("bias");
  return job;
}

std::vector<std::string> Described(const std::vector<Column>& columns) {
  std::vector<std::string> all;
  for (const Column& column : columns) all.push_back(column.role() + ":" + column.name);
  return all;
}

TEST(SampleColumns, OfAJobFollowItsConstraints) {
  EXPECT_THAT(Described(TrainingColumns(TwoConstraints())),
              ElementsAre("reference:", "reward:", "cost:harm", "cost:bias", "critic:reward", "critic:harm",
                          "critic:bias"));
  EXPECT_THAT(Described(EvaluationColumns(TwoConstraints())),
              ElementsAre("reward:", "cost:harm", "cost:bias"));
  EXPECT_THAT(Described(TrainingColumns({})), ElementsAre("reference:", "reward:", "critic:reward"));
}

TEST(SampleColumns, AskTheGuardWhereThereIsOneAndOnlyForTraining) {
  v1::Job job;
  job.add_actors()->set_role("guard");
  EXPECT_THAT(Described(TrainingColumns(job)),
              ElementsAre("reference:", "reward:", "critic:reward", "guard:"));
  EXPECT_THAT(Described(EvaluationColumns(job)), ElementsAre("reward:"));
}

TEST(SampleColumns, BecomeRowsWithEveryNumberInItsPlace) {
  const std::vector<Column> columns = TrainingColumns(TwoConstraints());
  std::vector<StepTable::Row> rows(2);
  rows[0].sample.set_sample_id("1.0/0");
  for (size_t i = 0; i < columns.size(); ++i) {
    rows[0].cells.push_back({{static_cast<float>(i)}, "digest " + std::to_string(i)});
  }
  rows[1].sample.set_sample_id("1.0/1");
  rows[1].drop_reason = "refused";
  const ClosedTable closed = CloseTable(columns, std::move(rows));
  ASSERT_EQ(closed.rows.size(), 1u);
  const ScoredRow& row = closed.rows[0];
  EXPECT_EQ(row.sample.sample_id(), "1.0/0");
  EXPECT_THAT(row.reference_logprobs, ElementsAre(0));
  EXPECT_EQ(row.reward, 1);
  EXPECT_EQ(row.reward_digest, "digest 1");
  EXPECT_THAT(row.costs, ElementsAre(2, 3));
  EXPECT_THAT(row.cost_digests, ElementsAre("digest 2", "digest 3"));
  EXPECT_THAT(row.reward_values, ElementsAre(4));
  EXPECT_THAT(row.cost_values, ElementsAre(ElementsAre(5), ElementsAre(6)));
  ASSERT_EQ(closed.dropped.size(), 1u);
  EXPECT_EQ(closed.dropped[0].sample_id, "1.0/1");
  EXPECT_EQ(closed.dropped[0].reason, "refused");
}

}  // namespace
}  // namespace rein::coordinator
