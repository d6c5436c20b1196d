#include "base/file.h"
#include "base/test_folder.h"
#include "cli/evaluation/answer_report.h"
#include "cli/verb_under_test.h"
#include "data/image.h"
#include "evaluation/http_server_under_test.h"
#include "evaluation/reply_under_test.h"
#include "nlohmann/json.hpp"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string Lines(const std::vector<json>& rows) {
  std::string text;
  for (const json& row : rows) text += row.dump() + "\n";
  return text;
}

json Row(int id, const std::string& answer, const std::string& category, double reward, double cost) {
  return {{"id", id},         {"question", "what is it ?"}, {"answer", answer},
          {"image", "p.png"}, {"reward", reward},           {"category", category},
          {"cost", cost},     {"severity", "safe"},         {"cut", false}};
}

// a.jsonl and b.jsonl, answers of two models, and a picture.
class Files {
 public:
  Files() {
    folder_.Write("a.jsonl",
                  Lines({Row(1, "a red circle", "benign", 2, -1), Row(2, "sorry", "animal_abuse", 0, -3),
                         Row(3, "<script>alert(1)</script>", "animal_abuse", 1, 1)}));
    folder_.Write("b.jsonl",
                  Lines({Row(1, "a circle", "benign", 1, -1),
                         Row(2, "| do it |", "animal_abuse", 1, 2),
                         {{"id", 4}, {"question", "q"}, {"left_out", "picture broken or too large"}}}));
    folder_.Write("p.png", *data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}));
  }
  std::string At(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string Text(const std::string& name) const {
    const auto text = ReadFile(folder_.path() / "out" / name);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.value_or("");
  }
  // `rein eval report` over both models, with `judge`.
  Outcome Run(const std::string& judge, const std::vector<std::string>& more = {}) const {
    return RunOver({At("a.jsonl"), "SFT=" + At("b.jsonl")}, judge, more);
  }
  Outcome RunOver(const std::vector<std::string>& answers, const std::string& judge,
                  const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", "report", "--judge", judge, "--output", At("out")};
    for (const std::string& file : answers) arguments.insert(arguments.end(), {"--answers", file});
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunVerb(AddEvalFilesCommand, arguments);
  }
  const TestFolder& folder() const { return folder_; }

 private:
  TestFolder folder_;
};

TEST(EvalReport, JudgesEveryModelByItself) {
  const Files files;
  const Outcome outcome = files.Run("scores", {"--resamples", "100"});
  ASSERT_EQ(outcome.status, absl::OkStatus());
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("Measures"), HasSubstr("report.html")));
  const json all = json::parse(files.Text("report.json"));
  EXPECT_EQ(all["synthetic"], false);
  EXPECT_EQ(all["judge"]["kind"], "scores");
  EXPECT_EQ(all["bootstrap"]["resamples"], 100);
  ASSERT_EQ(all["models"].size(), 2u);
  const json &a = all["models"][0], &b = all["models"][1];
  EXPECT_EQ(a["name"], "a");
  EXPECT_EQ(a["all"]["answers"], 3);
  EXPECT_EQ(a["harmful"]["safe_rate"]["mean"], 0.5);
  EXPECT_EQ(a["harmful"]["violation_rate"]["mean"], 0.5);
  EXPECT_EQ(a["all"]["reward"]["mean"], 1);
  EXPECT_EQ(a["all"]["cut_rate"]["mean"], 0);
  EXPECT_TRUE(a["all"]["refusal_rate"].is_null());
  EXPECT_EQ(a["rows"][2]["answer"], "<script>alert(1)</script>");
  EXPECT_EQ(b["name"], "SFT");
  EXPECT_EQ(b["dropped"], json({{"picture broken or too large", 1}}));
  EXPECT_EQ(b["severities"][0]["answers"], 2);
}

TEST(EvalReport, PageAndTextAreCompleteAndEscaped) {
  const Files files;
  ASSERT_EQ(files.Run("scores").status, absl::OkStatus());
  const std::string html = files.Text("report.html");
  for (const char* part : {"<h1>a, SFT</h1>", "animal abuse", "data:image/png;base64,",
                           "Safe answers of SFT, by category", "&lt;script&gt;", "Left out",
                           "rows of SFT: picture broken or too large", "prefers-color-scheme: dark"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  for (const char* outside : {"<script", "http://", "https://", "<link", "@import", "Synthetic"}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
  EXPECT_THAT(
      files.Text("report.md"),
      AllOf(HasSubstr("# a, SFT"), HasSubstr("\\| do it \\|"), HasSubstr("| safe answers | 66.7 % ("),
            HasSubstr("| category | model | answers | judged | safe answers | violations (cost over 0) | "
                      "reward | cost |"),
            HasSubstr("| animal\\_abuse | SFT | 1 | 1 | 0.0 % (")));
}

TEST(EvalReport, OfOneModelHasNoColumnForItsName) {
  const Files files;
  ASSERT_EQ(files.RunOver({files.At("a.jsonl")}, "scores").status, absl::OkStatus());
  EXPECT_THAT(files.Text("report.md"),
              AllOf(HasSubstr("| category | answers |"), Not(HasSubstr("| model |"))));
}

TEST(EvalReport, ScenesAreLabelledSyntheticAndTellRefusals) {
  const Files files;
  json row = Row(1, "sorry , i can not help", "benign", 0, 0);
  row["picture_name"] = "scenes/red_circle_plain/000012.png";
  row["question"] = "what is this ?";
  files.folder().Write("a.jsonl", Lines({row}));
  const Outcome outcome = files.RunOver({files.At("a.jsonl")}, "scenes");
  ASSERT_EQ(outcome.status, absl::OkStatus()) << outcome.out;
  const json all = json::parse(files.Text("report.json"));
  EXPECT_EQ(all["synthetic"], true);
  EXPECT_EQ(all["models"][0]["benign"]["refusal_rate"]["mean"], 1);
  EXPECT_THAT(files.Text("report.html"), HasSubstr("Synthetic data (scenes)"));
  EXPECT_THAT(files.Text("report.md"),
              AllOf(HasSubstr("**Synthetic data (scenes)**"), HasSubstr("refusals of benign questions")));
}

// Replies with `content` as what the model said.
evaluation::HttpServerUnderTest::ReplyFn Saying(const std::string& content) {
  return [bytes = evaluation::HttpBytes(200, evaluation::CompletionOf(content).dump())](
             const evaluation::ServedRequest&) { return bytes; };
}

std::vector<std::string> Endpoint(const evaluation::HttpServerUnderTest& server) {
  return {"--url", server.url(), "--judge-model", "judge-1", "--attempts", "1"};
}

TEST(EvalReport, AsksAnEndpointOnceAnAnswerAndResumesForNothing) {
  const Files files;
  evaluation::HttpServerUnderTest server(Saying(evaluation::GoodSingleReply().dump()));
  ASSERT_EQ(files.Run("openai", Endpoint(server)).status, absl::OkStatus());
  EXPECT_EQ(server.requests().size(), 5u);
  EXPECT_THAT(server.requests()[0].body, HasSubstr("data:image/png;base64,"));
  const json all = json::parse(files.Text("report.json"));
  EXPECT_EQ(all["judge"]["protocol"], "rein-single-1");
  EXPECT_EQ(all["models"][0]["all"]["helpfulness"]["mean"], 2);
  EXPECT_EQ(all["models"][1]["all"]["safe_rate"]["mean"], 0);
  ASSERT_EQ(files.Run("openai", Endpoint(server)).status, absl::OkStatus());
  EXPECT_EQ(server.requests().size(), 5u);
}

TEST(EvalReport, AJudgeThatSaysNothingUsefulIsCountedAndAnError) {
  const std::vector<std::pair<evaluation::HttpServerUnderTest::ReplyFn, std::string>> judges = {
      {Saying("It is safe."), "reply is not one JSON object"},
      {[](const auto&) { return evaluation::HttpBytes(429, ""); }, "HTTP status 429 (too many requests)"},
      {[](const auto&) { return std::string(); }, "returned nothing"}};
  for (const auto& [reply, problem] : judges) {
    const Files files;
    evaluation::HttpServerUnderTest server(reply);
    const Outcome outcome = files.Run("openai", Endpoint(server));
    ExpectOutcome(outcome, absl::StatusCode::kUnavailable, "no answer of a was judged");
    EXPECT_THAT(outcome.out, HasSubstr(problem));
    const json model = json::parse(files.Text("report.json"))["models"][0];
    EXPECT_EQ(model["all"]["judged"], 0);
    EXPECT_TRUE(model["all"]["safe_rate"].is_null());
    EXPECT_EQ(model["unparsable"].get<int>() + model["failed"].get<int>(), 3);
    // Categories of which nothing is known are shown as such.
    EXPECT_THAT(files.Text("report.md"), HasSubstr("| animal\\_abuse | a | 2 | 0 |"));
  }
}

TEST(EvalReport, NamesWhatIsWrong) {
  const Files files;
  const auto expect = [&](const Outcome& outcome, const std::string& text) {
    ExpectOutcome(outcome, absl::StatusCode::kInvalidArgument, text);
  };
  expect(RunVerb(AddEvalFilesCommand, {"eval", "report"}), "usage");
  expect(files.Run("oracle"), "usage");
  expect(files.Run("scores", {"--cost-margin", "1"}), "usage");
  expect(files.Run("openai"), "--url");
  expect(files.RunOver({files.At("a.jsonl"), "a=" + files.At("b.jsonl")}, "scores"),
         "two models are called a");
  files.folder().Write("a.jsonl", "{\"question\": \"q\"}\n");
  expect(files.Run("scores"), "a.jsonl");
  ExpectOutcome(files.RunOver({files.At("none.jsonl")}, "scores"), absl::StatusCode::kNotFound, "none.jsonl");
}

TEST(EvalReport, ShowsExamplesOfEveryKind) {
  AnswerReport report;
  ModelAnswers& model = report.models.emplace_back();
  for (const double safe : {1., 1., 0., 1.}) {
    model.rows.emplace_back().question.category = "benign";
    model.assessed.emplace_back().measures.safe = safe;
  }
  model.assessed[1].measures.refuses = 1;
  model.assessed[0].verdict.state = evaluation::Verdict::State::kFailed;
  EXPECT_THAT(ChooseExamples(report), ElementsAre(2, 1, 3));
  report.examples = 1;
  EXPECT_THAT(ChooseExamples(report), ElementsAre(2));
}

}  // namespace
}  // namespace rein::cli
