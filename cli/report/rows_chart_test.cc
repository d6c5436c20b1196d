#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/report/chart.h"
#include "cli/report/page.h"

namespace rein::report {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ShareChart Shares() {
  return {.head = {"key", "Title & more", "a note"},
          .names = {"win", "loss"},
          .rows = {{"first", {3, 1}}, {"<second>", {0, 2}}, {"none", {0, 0}}}};
}

TEST(ShareChart, DrawsSharesOfTheSumOfARow) {
  const std::string svg = RenderChart(Shares());
  EXPECT_THAT(svg, AllOf(HasSubstr("Title &amp; more"), HasSubstr("&lt;second&gt;"),
                         HasSubstr("first\nwin: 3\nloss: 1"), HasSubstr("100 %")));
  // From 205 to 438 pixels: three quarters, and one.
  EXPECT_THAT(svg, AllOf(HasSubstr("<rect class=\"f0\" x=\"205.0\" y=\"72.5\" width=\"174.8\""),
                         HasSubstr("<rect class=\"f1\" x=\"379.8\" y=\"72.5\" width=\"58.2\""),
                         HasSubstr("<rect class=\"f1\" x=\"205.0\" y=\"94.5\" width=\"233.0\"")));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(IntervalChart, DrawsValuesWithinTheAxis) {
  IntervalChart chart{.head = {"key", "Scores"}, .rows = {{"one", 0.5, 0.25, 0.75}, {"two", 2, -1, 3}}};
  chart.level = Level{"even", 0.5};
  const std::string svg = RenderChart(chart);
  EXPECT_THAT(svg,
              AllOf(HasSubstr("<circle class=\"f0\" cx=\"321.5\""), HasSubstr("x1=\"263.2\" x2=\"379.8\""),
                    HasSubstr("one\n0.5 (0.25 to 0.75)"), HasSubstr("even")));
  EXPECT_THAT(svg, AllOf(HasSubstr("x1=\"205.0\" x2=\"438.0\""), HasSubstr("cx=\"438.0\"")));
}

TEST(RowCharts, AreAsHighAsTheirRowsNeed) {
  ShareChart chart = Shares();
  const double three = HeightOf(chart);
  chart.rows.resize(23, {"more", {1, 1}});
  EXPECT_DOUBLE_EQ(HeightOf(chart), three + 20 * 22);
  EXPECT_EQ(RenderChart(IntervalChart{}), "");
  EXPECT_EQ(RenderChart(ShareChart{}), "");
  EXPECT_EQ(HeightOf(LineChart{}), kChartHeight);
}

TEST(Page, EscapesWhatComesFromOutside) {
  const std::string attack = "<script>\"'&";
  const std::string html = Page({attack, true, {{"name", attack}}},
                                Tiles(Tile(attack, attack, attack)) + Section(attack, Notes({attack})) +
                                    CardGrid(AnswerCard({"data:image/png;base64,"}, attack, attack,
                                                        AnswerBox(attack, attack, attack, false)),
                                             true),
                                "footer");
  EXPECT_THAT(html, AllOf(Not(HasSubstr("<script")), HasSubstr("&lt;script&gt;&quot;&#39;&amp;"),
                          HasSubstr(kSyntheticLabel), HasSubstr("answer bad"), HasSubstr("answers small")));
  EXPECT_THAT(AnswerCard({}, "q", "", AnswerBox("who", "", "", {})),
              AllOf(HasSubstr("no picture"), HasSubstr("<i>(empty)</i>")));
}

}  // namespace
}  // namespace rein::report
