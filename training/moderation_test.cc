#include "training/moderation.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace rein::training {
namespace {

using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;

CorpusRow Row(const std::string& severity, const std::string& category = "animal_abuse") {
  CorpusRow row;
  row.prompt = {1, 2, 3};
  row.responses[0] = {4, 5};
  row.responses[1] = {6};
  row.severity = severity;
  row.category = category;
  row.harmlessness[0] = row.harmlessness[1] = data::Harmlessness::kUnknown;
  return row;
}

std::vector<const CorpusRow*> Pointers(const std::vector<CorpusRow>& rows) {
  std::vector<const CorpusRow*> pointers;
  for (const CorpusRow& row : rows) pointers.push_back(&row);
  return pointers;
}

TEST(ExamplesOf, TakesWhatIsKnown) {
  std::vector<CorpusRow> rows = {Row("severe"), Row("")};
  rows[0].harmlessness[1] = data::Harmlessness::kLabelled;
  rows[0].is_safe[1] = false;
  rows[1].harmlessness[0] = data::Harmlessness::kRated;
  rows[1].harmless_rate[0] = -2;
  rows[1].category = "benign";
  const std::vector<ModerationExample> examples = ExamplesOf(Pointers(rows));
  ASSERT_EQ(examples.size(), 3u);
  EXPECT_FALSE(examples[0].is_answer());
  EXPECT_EQ(examples[0].label.at_least, 3);
  EXPECT_EQ(TokensOf(examples[0]), 3);
  EXPECT_EQ(examples[1].answer, 1);
  EXPECT_FALSE(examples[1].label.level_known());
  EXPECT_EQ(TokensOf(examples[1]), 4);
  EXPECT_EQ(examples[2].row_number, 1u);
  EXPECT_EQ(examples[2].answer, 0);
  EXPECT_EQ(examples[2].label.at_most, 2);
  EXPECT_FALSE(examples[2].label.categories_known);
  const ModerationCounts counts = CountExamples(examples);
  EXPECT_EQ(counts.questions, 1);
  EXPECT_EQ(counts.answers, 2);
  EXPECT_EQ(counts.unsafe_without_rate, 1);
  EXPECT_EQ(counts.harmful_without_category, 1);
}

// Questions of all levels in turn, and a guard that says what `say` makes of their level.
class MeasureTest : public testing::Test {
 protected:
  Measured Measure(const std::vector<std::string>& severities, float (*say)(int level, int logit)) {
    rows_.clear();
    for (int i = 0; i < 80; ++i) rows_.push_back(Row(severities[i % severities.size()]));
    const std::vector<ModerationExample> examples = ExamplesOf(Pointers(rows_));
    at::Tensor logits = at::full({static_cast<int64_t>(examples.size()), guard::kHeadLogits}, -8.0f);
    for (size_t i = 0; i < examples.size(); ++i) {
      const int level = examples[i].label.at_least;
      for (int k = 0; k < 3; ++k) logits[i][k] = say(level, k);
      if (level > 0) logits[i][guard::kOrdinalLogits] = 8.0f;
    }
    return MeasureModeration(examples, logits, options_);
  }

  MeasureOptions options_;
  std::vector<CorpusRow> rows_;
};

float Right(int level, int logit) { return logit < level ? 6.0f : -6.0f; }
// Takes minor for moderate.
float TooStrict(int level, int logit) { return Right(level == 1 ? 2 : level, logit); }

TEST_F(MeasureTest, FindsNothingWrongWithAGuardThatIsRight) {
  const Measured measured = Measure({"safe", "minor", "moderate", "severe"}, Right);
  for (const char* name : {"accuracy", "macro_f1", "recall", "auc", "category_macro_f1", "question_accuracy"})
    EXPECT_EQ(measured.metrics.at(name), 1) << name;
  EXPECT_EQ(measured.metrics.at("false_positive_rate"), 0);
  EXPECT_LT(measured.metrics.at("calibration_error"), 0.01);
  EXPECT_LT(measured.metrics.at("loss"), 0.02);
  EXPECT_THAT(measured.metrics, Not(Contains(Key("answer_accuracy"))));
  EXPECT_EQ(measured.config.metrics, measured.metrics);
}

TEST_F(MeasureTest, ChoosesOnOneHalfAndMeasuresOnTheOther) {
  const Measured measured = Measure({"safe", "minor", "moderate", "severe"}, Right);
  const guard::GuardConfig& config = measured.config;
  for (const guard::ThresholdChoice& choice : config.question) {
    EXPECT_TRUE(choice.chosen);
    EXPECT_EQ(choice.below + choice.at_or_above + config.measured_questions, 80);
    EXPECT_GT(config.measured_questions, 20);
    EXPECT_LT(config.measured_questions, 60);
  }
  for (const guard::ThresholdChoice& choice : config.answer) EXPECT_FALSE(choice.chosen);
  EXPECT_EQ(config.measured_answers, 0);
  EXPECT_FALSE(config.held_out);
  // Equal seeds divide equally.
  EXPECT_EQ(Measure({"safe", "minor", "moderate", "severe"}, Right).config.measured_questions,
            config.measured_questions);
}

TEST_F(MeasureTest, KeepsTheFalsePositiveRateThatIsAskedFor) {
  // Minor looks as moderate does: no threshold of moderate that flags few of them finds any.
  const Measured measured = Measure({"safe", "minor", "moderate", "severe"}, TooStrict);
  EXPECT_LE(measured.config.question[1].false_positive_rate, 0.05);
  EXPECT_EQ(measured.metrics.at("false_positive_rate"), 0);
  EXPECT_EQ(measured.metrics.at("recall"), 1);
  // Moderate is called minor, and so is severe, which must pass the threshold of moderate.
  EXPECT_LT(measured.metrics.at("macro_f1"), 0.8);
  EXPECT_GT(measured.metrics.at("accuracy"), 0.4);
}

TEST_F(MeasureTest, ChoosesAThresholdForEachCategoryThatOccurs) {
  std::vector<CorpusRow> rows;
  for (int i = 0; i < 80; ++i) rows.push_back(Row("severe", i % 2 == 0 ? "animal_abuse" : "sexual_crimes"));
  const std::vector<ModerationExample> examples = ExamplesOf(Pointers(rows));
  at::Tensor logits = at::full({80, guard::kHeadLogits}, 6.0f);
  logits.narrow(1, guard::kOrdinalLogits, guard::kCategoryLogits).fill_(-4);
  // Never likelier than not: told apart all the same.
  const int first = examples[0].label.category, second = examples[1].label.category;
  for (int i = 0; i < 80; ++i)
    logits[i][guard::kOrdinalLogits + (i % 2 == 0 ? first : second)] = -1.0f - 0.01f * static_cast<float>(i);
  const Measured measured = MeasureModeration(examples, logits, options_);
  EXPECT_EQ(measured.metrics.at("category_macro_f1"), 1);
  for (int category = 0; category < guard::kCategoryLogits; ++category) {
    const guard::CategoryChoice& choice = measured.config.category[static_cast<size_t>(category)];
    const double threshold = measured.config.thresholds.category[static_cast<size_t>(category)];
    EXPECT_EQ(choice.threshold, threshold);
    EXPECT_EQ(choice.chosen, category == first || category == second);
    if (choice.chosen) {
      EXPECT_GT(choice.items, 10);
      EXPECT_LT(threshold, 0.2);
    } else {
      EXPECT_EQ(threshold, 0.5);
    }
  }
}

TEST_F(MeasureTest, SaysWhereThereIsNothingToChooseFrom) {
  const Measured measured = Measure({"safe"}, Right);
  for (const guard::ThresholdChoice& choice : measured.config.question) {
    EXPECT_FALSE(choice.chosen);
    EXPECT_EQ(choice.threshold, 0.5);
    EXPECT_EQ(choice.at_or_above, 0);
  }
  EXPECT_THAT(measured.metrics, Not(Contains(Key("auc"))));
  EXPECT_THAT(measured.metrics, Not(Contains(Key("recall"))));
  EXPECT_EQ(measured.metrics.at("accuracy"), 1);
}

TEST_F(MeasureTest, WeighsCategories) {
  const double with = Measure({"safe", "severe"}, Right).metrics.at("loss");
  options_.category_weight = 0;
  const double without = Measure({"safe", "severe"}, Right).metrics.at("loss");
  // Each of 20 categories is 8 away from 0 on the right side.
  EXPECT_NEAR(with - without, 20 * std::log1p(std::exp(-8.0)), 1e-5);
}

}  // namespace
}  // namespace rein::training
