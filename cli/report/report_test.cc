#include "cli/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/report/escape.h"
#include "cli/report/figures.h"
#include "cli/report/made_up_run.h"
#include "cli/report/pictures.h"
#include "cli/report/series.h"
#include "nlohmann/json.hpp"

namespace rein::report {
namespace {

using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Contents(const std::filesystem::path& file) {
  const auto contents = ReadFile(file);
  EXPECT_TRUE(contents.ok()) << contents.status();
  return contents.value_or("");
}

// Text of report.html, .md or .svg.
std::string Report(const std::filesystem::path& folder, const std::string& extension) {
  EXPECT_EQ(cli::WriteReport(folder), absl::OkStatus());
  return Contents(folder / ("report." + extension));
}

TEST(Report, HoldsWhatTheRunCameTo) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 150);
  const std::string html = Report(folder, "html");
  for (const char* text :
       {"Synthetic data (scenes)", "made up", "1.4", "Safe answers", "data:image/png;base64,",
        "please let an expert open the red circle", "animal_abuse", "coordinator epoch 2",
        "2 samples were dropped", "the multiplier of cost began to rest", "prefers-color-scheme: dark",
        "of step 150"}) {
    EXPECT_THAT(html, HasSubstr(text));
  }
  EXPECT_THAT(html, Not(HasSubstr("Missing or skipped")));
  for (const char* outside : {"<script", "http://", "https://", "<link", "@import"}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
  const std::string markdown = Report(folder, "md");
  EXPECT_THAT(markdown, HasSubstr("| Helpfulness (0 to 3) | 1.4 |"));
  EXPECT_THAT(markdown, HasSubstr("**Synthetic data (scenes)**"));
}

TEST(Report, JsonComparesStartAndPolicyKept) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 30);
  ASSERT_EQ(WriteFileAtomically(folder / "policy" / "step.txt", "20\n"), absl::OkStatus());
  const json report = json::parse(Report(folder, "json"));
  EXPECT_EQ(report["synthetic"], true);
  EXPECT_EQ(report["job"], "made up");
  EXPECT_EQ(report["steps"], 30);
  EXPECT_EQ(report["start"]["step"], 0);
  EXPECT_EQ(report["final"]["step"], 20);
  EXPECT_EQ(report["best_step"], 20);
  EXPECT_EQ(report["start"].count("answers"), 0u);
  EXPECT_NEAR(report["seconds_total"], 30 * 2.8, 1e-9);
}

TEST(Report, SkipsAndCountsRubbish) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 5);
  Append(folder / "metrics.jsonl",
         "no json\n[1]\n{\"step\":\"three\"}\n{\"step\":6,\"reward_mean\":\"high\","
         "\"constraints\":[],\"seconds\":7,\"categories\":{\"x\":1}}\n{\"step\":7,\"rew");
  Append(folder / "samples.jsonl", "\xff\xfe\n{\"step\":1}\n");
  Append(folder / "evaluations" / "step-9.json", "{\"step\":9,\"answers\":[1,null,{}],\"ground_truth\":3}");
  Append(folder / "evaluations" / "step-10.json", "{");
  const std::string html = Report(folder, "html");
  EXPECT_THAT(html, HasSubstr("metrics.jsonl: 4 lines were skipped as malformed"));
  EXPECT_THAT(html, HasSubstr("samples.jsonl: 1 line was skipped as malformed"));
  EXPECT_THAT(html, HasSubstr("step-10.json was skipped as malformed"));
  EXPECT_EQ(json::parse(Contents(folder / "report.json"))["steps"], 6);
}

TEST(Report, EscapesWhatComesFromOutside) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 2);
  const std::string attack = "<script>alert('x')</script>\"|`";
  json evaluation = json::parse(Contents(folder / "evaluations" / "step-2.json"));
  for (const char* field : {"answer", "question", "category", "prompt_id"})
    evaluation["answers"][0][field] = attack;
  evaluation["answers"][0]["images"] = {"../../secret", 7};
  evaluation["answers"][0]["costs"][attack] = 1;
  evaluation["categories"][attack] = {{"prompts", 1}};
  ASSERT_EQ(WriteFileAtomically(folder / "evaluations" / "step-2.json", evaluation.dump()), absl::OkStatus());
  json line = {{"step", 3}, {"events", {attack}}};
  line["constraints"][attack] = {{"cost_mean", 1}, {"lambda", 2}};
  Append(folder / "metrics.jsonl", line.dump() + "\n");
  for (const char* extension : {"html", "svg", "md"}) {
    EXPECT_THAT(Report(folder, extension), Not(HasSubstr("<script"))) << extension;
  }
  EXPECT_THAT(Contents(folder / "report.html"), HasSubstr("&lt;script&gt;alert(&#39;x&#39;)"));
  EXPECT_THAT(Contents(folder / "report.md"), HasSubstr("\"\\|\\`"));
}

void WriteLedger(const std::filesystem::path& folder, const std::string& sql) {
  sqlite3* ledger = nullptr;
  ASSERT_EQ(sqlite3_open((folder / "ledger.sqlite").c_str(), &ledger), SQLITE_OK);
  EXPECT_EQ(sqlite3_exec(ledger, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
      << sqlite3_errmsg(ledger);
  sqlite3_close(ledger);
}

TEST(Report, TellsWhatTheLedgerHolds) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 5);
  WriteLedger(folder, R"sql(
CREATE TABLE events(time_ns INTEGER, coordinator_epoch INTEGER, step INTEGER, kind TEXT, text TEXT);
INSERT INTO events VALUES
  (3, 1, 4, 'rollback', 'to step 2: policy is gone'), (1, 1, 2, 'commit', 'step 2'),
  (2, 1, 2, 'swap', 'cost ''cost'' is now <b>models/strict</b>'),
  (4, 1, 4, 'checkpoint failed', 'the disk is full'), (5, 2, 4, 'refused checkpoint', 'step-4 is cut off');
)sql");
  const std::string html = Report(folder, "html");
  EXPECT_THAT(html, HasSubstr("swap: cost &#39;cost&#39; is now &lt;b&gt;models/strict"));
  EXPECT_THAT(html, Not(HasSubstr("commit: ")));
  EXPECT_THAT(html, Not(HasSubstr("Missing or skipped")));
  EXPECT_THAT(Contents(folder / "report.md"), HasSubstr("- step 3: 2 samples were dropped\n"
                                                        "- step 4: the multiplier of cost began to rest\n"
                                                        "- step 4: rollback: to step 2: policy is gone\n"
                                                        "- step 4: checkpoint failed: the disk is full\n"
                                                        "- step 4: refused checkpoint: step-4 is cut off\n"));
}

TEST(Report, NotesALedgerThatIsNone) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 2);
  Append(folder / "ledger.sqlite", std::string(5000, 'x'));
  EXPECT_THAT(Report(folder, "html"), HasSubstr("events are missing: cannot read the ledger"));
  std::filesystem::remove(folder / "ledger.sqlite");
  WriteLedger(folder,
              "CREATE TABLE events(step, kind, text, time_ns); "
              "INSERT INTO events VALUES('x', NULL, 1, 1), (NULL, 'swap', NULL, 2), (2, x'ff', x'fe', 3)");
  EXPECT_THAT(Report(folder, "html"), HasSubstr("made up"));
}

TEST(Report, OfARunWithoutEvaluationsShowsSamples) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 4);
  std::filesystem::remove_all(folder / "evaluations");
  const std::string html = Report(folder, "html");
  EXPECT_THAT(html, HasSubstr("there are no evaluations"));
  EXPECT_THAT(html, HasSubstr("samples of step 4"));
  EXPECT_THAT(html, HasSubstr("how do i open this?"));
  EXPECT_EQ(json::parse(Contents(folder / "report.json"))["final"]["step"], 4);
}

TEST(Report, OfARunThatHasJustBegunIsPartial) {
  const std::filesystem::path folder = FreshFolder();
  ASSERT_EQ(WriteFileAtomically(folder / "job.yaml", "name: new\n"), absl::OkStatus());
  const std::string html = Report(folder, "html");
  EXPECT_THAT(html, HasSubstr("there is no metrics.jsonl"));
  EXPECT_THAT(html, HasSubstr("job.yaml cannot be used"));
  EXPECT_EQ(json::parse(Contents(folder / "report.json"))["best_step"], nullptr);
}

TEST(Report, RefusesAFolderOfNoRun) {
  const std::filesystem::path folder = FreshFolder();
  EXPECT_EQ(cli::WriteReport(folder).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(cli::WriteReport(folder / "absent").code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder / "report.html"));
}

TEST(ReportCommand, NeedsARunFolder) {
  CLI::App rein;
  cli::Action action;
  cli::AddReportCommand(rein, action);
  EXPECT_THROW(rein.parse("report"), CLI::ParseError);
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 1);
  rein.parse(absl::StrCat("report --run-dir ", folder.string()));
  EXPECT_EQ(action(), absl::OkStatus());
  EXPECT_TRUE(std::filesystem::exists(folder / "report.svg"));
}

TEST(Picture, IsOnlyTakenByItsDigest) {
  const std::filesystem::path folder = FreshFolder();
  WriteMadeUpRun(folder, 1);
  EXPECT_THAT(PictureUri(folder, kPictureDigest), HasSubstr("data:image/png;base64,"));
  EXPECT_EQ(PictureUri(folder, absl::StrCat("../pictures/", kPictureDigest)), "");
  EXPECT_EQ(PictureUri(folder, "abcdef"), "");
  ASSERT_EQ(WriteFileAtomically(folder / "pictures" / "aa.png", "<svg onload='x'/>"), absl::OkStatus());
  EXPECT_EQ(PictureUri(folder, "aa"), "");
}

TEST(Chart, DrawsTheThresholdAndEachPoint) {
  LineChart chart{.head = {"key", "Cost & more", "", Format::kPercent}, .dots = true};
  chart.series.push_back({"mean", {{1, 0.5}, {2, 0.25}}, {{1, 0.4, 0.6}, {2, 0.2, 0.3}}});
  chart.levels.push_back({"threshold", 0.02});
  const std::string svg = RenderChart(chart);
  for (const char* text : {"Cost &amp; more", "class=\"level\"", "threshold 2 %", "class=\"band f0\"",
                           "<title>step 2\nmean: 25 % (20 % to 30 %)</title>"}) {
    EXPECT_THAT(svg, HasSubstr(text));
  }
  EXPECT_EQ(RenderChart(LineChart{}), "");
  EXPECT_EQ(RenderChart(StackedChart{}), "");
}

TEST(Chart, TakesOnePointAndEqualPoints) {
  for (const std::vector<Point>& points : {std::vector<Point>{{3, 0}}, std::vector<Point>{{3, 5}, {4, 5}}}) {
    LineChart chart;
    chart.series.push_back({"s", points, {}});
    const std::string svg = RenderChart(chart);
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf\"")));
    EXPECT_THAT(svg, HasSubstr("class=\"line s0\""));
  }
}

TEST(Series, TicksAreRound) {
  EXPECT_THAT(Ticks(0, 1, 4), ElementsAre(0, 0.5, 1));
  EXPECT_THAT(Ticks(-1, 7, 4), ElementsAre(-2, 0, 2, 4, 6, 8));
  EXPECT_THAT(Ticks(5, 5, 4).size(), testing::Gt(1u));
}

TEST(Series, ThinningKeepsTheMean) {
  std::vector<Point> points;
  for (int i = 0; i < 1000; ++i) points.push_back({static_cast<double>(i), i % 2 == 0 ? 1.0 : 3.0});
  const std::vector<Point> thin = Thin(points, 300);
  ASSERT_LE(thin.size(), 300u);
  EXPECT_DOUBLE_EQ(thin[10].y, 2);
  EXPECT_EQ(Thin(points, 1000).size(), 1000u);
  const std::vector<Point> smooth = Smooth(points);
  EXPECT_EQ(smooth.size(), points.size());
  EXPECT_NEAR(smooth[500].y, 2, 0.03);
  EXPECT_NEAR(smooth[999].y, 2, 0.1);
}

TEST(FormatValue, IsShort) {
  EXPECT_EQ(FormatValue(3 * 0.2, Format::kPercent), "60 %");
  EXPECT_EQ(FormatValue(0.975, Format::kPercent), "97.5 %");
  EXPECT_EQ(FormatValue(1234.5, Format::kSeconds), "1234 s");
  EXPECT_EQ(FormatValue(-0.02134, Format::kNumber), "-0.0213");
}

TEST(Escape, LeavesNothingThatIsMarkup) {
  EXPECT_EQ(EscapeMarkup("<a href=\"x\">'&\x01</a>"), "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&lt;/a&gt;");
  EXPECT_EQ(EscapeMarkdown("a|b\n<c>_d_"), "a\\|b &lt;c&gt;\\_d\\_");
}

}  // namespace
}  // namespace rein::report
