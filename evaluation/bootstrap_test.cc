#include "evaluation/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/file.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace rein::evaluation {
namespace {

using nlohmann::json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::vector<Column> ColumnsOf(const json& lists) {
  std::vector<Column> columns;
  for (const json& list : lists) {
    Column& column = columns.emplace_back();
    for (const json& value : list) column.push_back(value.is_null() ? kNone : value.get<double>());
  }
  return columns;
}

TEST(Bootstrap, EqualsNumpyFromTheSameDraws) {
  const auto text = ReadFile(REIN_SOURCE_DIR "/tests/fixtures/evaluation/bootstrap.json");
  ASSERT_TRUE(text.ok()) << text.status();
  const json cases = json::parse(*text);
  ASSERT_EQ(cases.size(), 4u);
  for (const json& test : cases) {
    const auto estimates = EstimateMeans(ColumnsOf(test["columns"]), {test["resamples"], test["seed"]});
    ASSERT_EQ(estimates.size(), test["estimates"].size());
    for (size_t i = 0; i < estimates.size(); ++i) {
      const json& expected = test["estimates"][i];
      ASSERT_EQ(estimates[i].has_value(), !expected.is_null());
      if (!estimates[i]) continue;
      EXPECT_NEAR(estimates[i]->mean, expected["mean"], 1e-12);
      EXPECT_NEAR(estimates[i]->interval.low, expected["low"], 1e-12);
      EXPECT_NEAR(estimates[i]->interval.high, expected["high"], 1e-12);
    }
  }
}

TEST(Bootstrap, DrawsTheSameQuestionsForAllColumns) {
  Column values, shifted;
  for (int i = 0; i < 60; ++i) {
    values.push_back(i % 7);
    shifted.push_back(i % 7 + 10);
  }
  const auto estimates = EstimateMeans({values, shifted}, {500, 3});
  EXPECT_NEAR(estimates[1]->interval.low - estimates[0]->interval.low, 10, 1e-12);
  EXPECT_NEAR(estimates[1]->interval.high - estimates[0]->interval.high, 10, 1e-12);
}

TEST(Bootstrap, IsAboutTheNormalIntervalOfManyQuestions) {
  Column wins(1000, 0.0);
  std::fill(wins.begin(), wins.begin() + 300, 1.0);
  const auto estimate = EstimateMeans({wins}, {})[0];
  const double half = 1.96 * std::sqrt(0.3 * 0.7 / 1000);
  EXPECT_DOUBLE_EQ(estimate->mean, 0.3);
  EXPECT_NEAR(estimate->interval.low, 0.3 - half, 0.002);
  EXPECT_NEAR(estimate->interval.high, 0.3 + half, 0.002);
}

TEST(Bootstrap, NothingGivesNothing) {
  EXPECT_TRUE(EstimateMeans({}, {}).empty());
  EXPECT_FALSE(EstimateMeans({{}}, {})[0].has_value());
  EXPECT_FALSE(EstimateMeans({{kNone, kNone}}, {})[0].has_value());
}

}  // namespace
}  // namespace rein::evaluation
