#include <stdlib.h>

#include "base/file.h"
#include "base/test_folder.h"
#include "cli/evaluation/pair_report.h"
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

Outcome RunPairs(const std::vector<std::string>& arguments) {
  std::vector<std::string> all = {"eval", "pairs"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RunVerb(AddEvalFilesCommand, all);
}

std::string Lines(const std::vector<json>& rows) {
  std::string text;
  for (const json& row : rows) text += row.dump() + "\n";
  return text;
}

json Row(int id, const std::string& answer, const std::string& category, double reward, double cost) {
  return {{"id", id},         {"question", "what is it ?"}, {"answer", answer},
          {"image", "p.png"}, {"category", category},       {"reward", reward},
          {"cost", cost},     {"severity", "safe"}};
}

// ours.jsonl, base.jsonl and a picture.
class Files {
 public:
  Files() {
    folder_.Write("ours.jsonl",
                  Lines({Row(1, "a red circle", "benign", 2, -1), Row(2, "sorry", "animal_abuse", 0, -3),
                         Row(3, "<script>alert(1)</script>", "animal_abuse", 1, 1), Row(4, "x", "", 1, 1)}));
    folder_.Write("base.jsonl",
                  Lines({Row(1, "a circle", "benign", 1, -1), Row(2, "do it", "animal_abuse", 1, 2),
                         Row(3, "| no |", "animal_abuse", 1, -1), Row(5, "x", "", 1, 1)}));
    folder_.Write("p.png", *data::EncodePng({2, 1, {1, 2, 3, 4, 5, 6}}));
  }
  std::string At(const std::string& name) const { return (folder_.path() / name).string(); }
  std::string Text(const std::string& name) const {
    const auto text = ReadFile(folder_.path() / "out" / name);
    EXPECT_TRUE(text.ok()) << text.status();
    return text.value_or("");
  }
  std::vector<std::string> Arguments(const std::string& judge, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {
        "--answers", At("ours.jsonl"), "--base", At("base.jsonl"), "--judge", judge, "--output", At("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  const TestFolder& folder() const { return folder_; }

 private:
  TestFolder folder_;
};

TEST(EvalPairs, WritesCountsEstimatesAndPairs) {
  const Files files;
  const Outcome outcome = RunPairs(files.Arguments("scores", {"--resamples", "100"}));
  ASSERT_EQ(outcome.status, absl::OkStatus());
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("Scores against the base"), HasSubstr("evaluation.html")));
  const json all = json::parse(files.Text("evaluation.json"));
  EXPECT_EQ(all["synthetic"], false);
  EXPECT_EQ(all["ours"], "ours");
  EXPECT_EQ(all["judge"]["kind"], "scores");
  EXPECT_EQ(all["answers"]["paired"], 3);
  EXPECT_EQ(all["answers"]["only_ours"], 1);
  EXPECT_EQ(all["answers"]["only_base"], 1);
  EXPECT_EQ(all["all"]["helpful"]["wins"], 1);
  EXPECT_EQ(all["all"]["helpful"]["ties"], 1);
  EXPECT_EQ(all["all"]["helpful"]["losses"], 1);
  EXPECT_EQ(all["harmful"]["safer"]["score"]["mean"], 0.5);
  EXPECT_EQ(all["bootstrap"]["resamples"], 100);
  ASSERT_EQ(all["pairs"].size(), 3u);
  EXPECT_EQ(all["pairs"][1]["safer"]["outcome"], "win");
}

TEST(EvalPairs, PageAndTextAreCompleteAndEscaped) {
  const Files files;
  ASSERT_EQ(RunPairs(files.Arguments("scores", {"--name", "Ours & co", "--base-name", "SFT"})).status,
            absl::OkStatus());
  const std::string html = files.Text("evaluation.html");
  for (const char* part :
       {"Ours &amp; co against SFT", "animal_abuse", "animal abuse", "data:image/png;base64,",
        "Wins, ties and losses", "Side by side", "&lt;script&gt;", "more helpful: win", "Left out",
        "questions that only SFT answered", "prefers-color-scheme: dark"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  for (const char* outside : {"<script", "http://", "https://", "<link", "@import", "Synthetic"}) {
    EXPECT_THAT(html, Not(HasSubstr(outside)));
  }
  const std::string markdown = files.Text("evaluation.md");
  EXPECT_THAT(markdown,
              AllOf(HasSubstr("# Ours &amp; co against SFT"), HasSubstr("\\| no \\|"),
                    HasSubstr("| all | 3 | 1 / 1 / 1 | 0.500 ("), HasSubstr("| safe answers | 66.7 %")));
}

TEST(EvalPairs, ScenesAreLabelledSynthetic) {
  const Files files;
  json ours = Row(1, "sorry , i can not help", "animal_abuse", 0, 0),
       base = Row(1, "it is", "animal_abuse", 0, 0);
  for (json* row : {&ours, &base}) {
    (*row)["picture_name"] = "scenes/red_circle_hazard/000012.png";
    (*row)["question"] = "how do i open this ?";
  }
  files.folder().Write("ours.jsonl", Lines({ours}));
  files.folder().Write("base.jsonl", Lines({base}));
  ASSERT_EQ(RunPairs(files.Arguments("scenes")).status, absl::OkStatus());
  EXPECT_EQ(json::parse(files.Text("evaluation.json"))["synthetic"], true);
  EXPECT_THAT(files.Text("evaluation.html"), HasSubstr("Synthetic data (scenes)"));
  EXPECT_THAT(files.Text("evaluation.md"), HasSubstr("**Synthetic data (scenes)**"));
}

// Replies with `reply` as what the model said.
evaluation::HttpServerUnderTest::ReplyFn Saying(const json& reply) {
  return [bytes = evaluation::HttpBytes(200, evaluation::CompletionOf(reply.dump()).dump())](
             const evaluation::ServedRequest&) { return bytes; };
}

TEST(EvalPairs, AsksAnEndpointAndResumesForNothing) {
  const Files files;
  setenv("REIN_TEST_JUDGE_KEY", "secret-key", 1);
  evaluation::HttpServerUnderTest server(Saying(evaluation::GoodReply()));
  const auto arguments =
      files.Arguments("openai", {"--url", server.url(), "--judge-model", "judge-1", "--key-env",
                                 "REIN_TEST_JUDGE_KEY", "--request", "{\"seed\": 3}"});
  const Outcome first = RunPairs(arguments);
  ASSERT_EQ(first.status, absl::OkStatus());
  EXPECT_EQ(server.requests().size(), 6u);
  EXPECT_THAT(server.requests()[0].head, HasSubstr("Bearer secret-key"));
  EXPECT_THAT(server.requests()[0].body, AllOf(HasSubstr("data:image/png;base64,"), HasSubstr("\"seed\":3")));
  // The judge takes whoever is first: every order disagrees.
  const json all = json::parse(files.Text("evaluation.json"));
  EXPECT_EQ(all["all"]["helpful"]["disagreements"], 3);
  EXPECT_EQ(all["all"]["helpful"]["score"]["mean"], 0.5);
  EXPECT_EQ(all["benign"]["refusal_rate"]["ours"]["mean"], 0.5);
  ASSERT_EQ(RunPairs(arguments).status, absl::OkStatus());
  EXPECT_EQ(server.requests().size(), 6u);
  for (const char* file : {"evaluation.json", "evaluation.md", "evaluation.html", "judge_replies.jsonl"}) {
    EXPECT_THAT(files.Text(file), Not(HasSubstr("secret-key"))) << file;
  }
  EXPECT_THAT(first.out, Not(HasSubstr("secret-key")));
}

TEST(EvalPairs, AJudgeThatSaysNothingUsefulIsCountedAndAnError) {
  const Files files;
  evaluation::HttpServerUnderTest server(Saying("A is better"));
  const Outcome outcome =
      RunPairs(files.Arguments("openai", {"--url", server.url(), "--judge-model", "judge-1"}));
  ExpectOutcome(outcome, absl::StatusCode::kUnavailable, "no pair was judged");
  EXPECT_THAT(outcome.out, HasSubstr("judgements: reply is not one JSON object"));
  const json all = json::parse(files.Text("evaluation.json"));
  EXPECT_EQ(all["unparsable"], 6);
  EXPECT_TRUE(all["all"]["helpful"]["score"].is_null());
}

TEST(EvalPairs, NamesWhatIsWrong) {
  const Files files;
  const auto expect = [&](const std::vector<std::string>& arguments, const std::string& text) {
    ExpectOutcome(RunPairs(arguments), absl::StatusCode::kInvalidArgument, text);
  };
  expect({}, "usage");
  expect(files.Arguments("oracle"), "usage");
  expect(files.Arguments("openai"), "--url");
  expect(
      files.Arguments("openai", {"--url", "http://h", "--judge-model", "m", "--key-env", "REIN_NO_SUCH_KEY"}),
      "REIN_NO_SUCH_KEY");
  expect(files.Arguments("openai", {"--url", "http://h", "--judge-model", "m", "--request", "[1]"}),
         "--request");
  files.folder().Write("base.jsonl", Lines({Row(9, "x", "", 1, 1)}));
  expect(files.Arguments("scores"), "no common question");
  files.folder().Write("ours.jsonl", "{\"question\": \"q\"}\n");
  expect(files.Arguments("scores"), "ours.jsonl");
}

TEST(EvalPairs, ShowsExamplesOfEveryOutcome) {
  using evaluation::JudgedPair;
  using evaluation::Outcome;
  const auto judged = [](Outcome safer) {
    JudgedPair pair;
    pair.safer = evaluation::Settled{safer, false};
    return pair;
  };
  std::vector<JudgedPair> pairs(5, judged(Outcome::kTie));
  pairs[3] = judged(Outcome::kWin);
  pairs[4] = judged(Outcome::kLoss);
  pairs[0].orders[0].state = evaluation::Verdict::State::kFailed;
  EXPECT_THAT(ChooseExamples(pairs, 4), ElementsAre(3, 1, 4, 2));
  EXPECT_THAT(ChooseExamples(pairs, 100), ElementsAre(3, 1, 4, 2));
  EXPECT_THAT(ChooseExamples(pairs, 0), ElementsAre());
}

}  // namespace
}  // namespace rein::cli
