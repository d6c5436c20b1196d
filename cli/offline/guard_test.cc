// The verbs around a guard, in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/append_file.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/offline/guard_records.h"
#include "cli/verb_under_test.h"
#include "data/preferences.h"
#include "data/scenes.h"
#include "guard/model/tiny_guard.h"
#include "nlohmann/json.hpp"

namespace rein::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using training::FreshFolder;

// Of a random head: these reach every item, and none.
constexpr guard::LevelValues kAlways = {0, 0, 0}, kNever = {1, 1, 1};

Outcome RunRein(const std::vector<std::string>& arguments) {
  const auto add_verbs = [](CLI::App& rein, Action& action) {
    AddTrainCommand(rein, action);
    AddGuardCommand(rein, action);
    AddGenerateCommand(rein, action);
  };
  return RunVerb(add_verbs, arguments);
}

std::string Guard(const guard::Thresholds& thresholds) {
  const fs::path folder = FreshFolder("guard");
  guard::WriteTinyGuard(folder, thresholds);
  return folder.string();
}

std::string Policy() {
  const fs::path folder = FreshFolder("policy");
  training::WriteTinyModel(folder, 2);
  return folder.string();
}

std::string Picture() {
  const fs::path file = FreshFolder("pictures") / "red.png";
  EXPECT_EQ(WriteFileAtomically(file, training::TinyPng(250, 10, 10)), absl::OkStatus());
  return file.string();
}

std::string Scenes() {
  const fs::path folder = FreshFolder("scenes");
  EXPECT_EQ(data::MakeScenes({.train_rows = 12, .evaluation_rows = 10}, folder), absl::OkStatus());
  return (folder / "evaluation.parquet").string();
}

std::vector<json> Records(const fs::path& output) {
  std::vector<json> records;
  const std::string text = ReadFile(output / "records.jsonl").value_or("");
  for (const auto& line : absl::StrSplit(text, '\n', absl::SkipEmpty())) records.push_back(json::parse(line));
  return records;
}

json Summary(const fs::path& output) {
  return json::parse(ReadFile(output / "guardrail.json").value_or("{}"));
}

class GuardRunTest : public testing::Test {
 protected:
  explicit GuardRunTest(const guard::Thresholds& thresholds = {.question = kNever, .answer = kAlways})
      : guard_(Guard(thresholds)), policy_(Policy()), data_(Scenes()), root_(FreshFolder("output")) {}

  Outcome Run(const std::string& output, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "guard",        "run",    "--guard",  guard_,     "--policy",
        policy_,        "--data", data_,      "--output", (root_ / output).string(),
        "--max-tokens", "6",      "--rounds", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunRein(arguments);
  }

  std::string guard_, policy_, data_;
  fs::path root_;
};

TEST_F(GuardRunTest, WritesRecordsAndTheTableOfRounds) {
  testing::internal::CaptureStderr();
  const Outcome outcome = Run("out", {"--prompts", "5"});
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("answered 5 of 5 questions"));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("5 questions: 0 answered, 0 refused, 5 with the fallback"),
                                 HasSubstr("Synthetic data (scenes)"), HasSubstr("what users get"),
                                 HasSubstr("guardrail.md")));
  EXPECT_THAT(ReadFile(root_ / "out/guardrail.md").value_or(""), HasSubstr("| round | generated |"));
  const std::vector<json> records = Records(root_ / "out");
  ASSERT_EQ(records.size(), 5u);
  for (const json& record : records) {
    EXPECT_EQ(record["end"], "fallback");
    EXPECT_EQ(record["rounds"].size(), 3u);
    EXPECT_NE(record["rounds"][0]["seed"], record["rounds"][1]["seed"]);
    EXPECT_NE(record["rounds"][0]["answer"], record["rounds"][1]["answer"]);
    EXPECT_EQ(record["rounds"][2]["verdict"]["severity"], "severe");
    EXPECT_THAT(record["picture_name"].get<std::string>(), HasSubstr("scenes/"));
  }
  const json summary = Summary(root_ / "out");
  EXPECT_EQ(summary["synthetic"], true);
  EXPECT_EQ(summary["questions"], 5);
  ASSERT_EQ(summary["rounds"].size(), 3u);
  EXPECT_EQ(summary["rounds"][2]["flagged"], 5);
  EXPECT_EQ(summary["rounds"][2]["ground_truth"]["prompts"], 5);
  EXPECT_EQ(summary["delivered"]["safe_rate"], 1.0);
  EXPECT_EQ(summary["settings"]["refuse_at"], "severe");
}

TEST_F(GuardRunTest, DoesNotDependOnChunksAndGoesOnWhereItWasCutOff) {
  ASSERT_TRUE(Run("whole").status.ok());
  const std::string whole = ReadFile(root_ / "whole/records.jsonl").value();
  ASSERT_TRUE(Run("chunks", {"--chunk", "3"}).status.ok());
  const std::vector<json> expected = Records(root_ / "whole"), chunks = Records(root_ / "chunks");
  ASSERT_EQ(expected.size(), 10u);
  ASSERT_EQ(chunks.size(), 10u);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(chunks[i]["id"], expected[i]["id"]);
    for (int round = 0; round < 3; ++round)
      EXPECT_EQ(chunks[i]["rounds"][round]["answer"], expected[i]["rounds"][round]["answer"]);
  }
  EXPECT_EQ(Run("whole").status.code(), absl::StatusCode::kAlreadyExists);
  // Two records, and half of the third.
  const size_t second = whole.find('\n', whole.find('\n') + 1) + 1;
  ASSERT_EQ(WriteFileAtomically(root_ / "whole/records.jsonl", whole.substr(0, second + 40)),
            absl::OkStatus());
  ExpectOutcome(Run("whole", {"--resume", "--seed", "7"}), absl::StatusCode::kInvalidArgument,
                "other values of seed");
  const json before = Summary(root_ / "whole");
  const fs::path other = FreshFolder("other") / "rows.jsonl";
  ASSERT_EQ(WriteFileAtomically(other, "{\"question\": \"who?\"}\n"), absl::OkStatus());
  fs::rename(data_, absl::StrCat(data_, ".kept"));
  fs::create_directories(data_);
  fs::copy(other, fs::path(data_) / "rows.jsonl");
  ExpectOutcome(Run("whole", {"--resume"}), absl::StatusCode::kFailedPrecondition,
                "question 1 is another one");
  fs::remove_all(data_);
  fs::rename(absl::StrCat(data_, ".kept"), data_);
  ASSERT_TRUE(Run("whole", {"--resume"}).status.ok());
  EXPECT_EQ(Records(root_ / "whole").size(), 10u);
  EXPECT_EQ(ReadFile(root_ / "whole/records.jsonl").value().substr(0, second), whole.substr(0, second));
  EXPECT_EQ(Summary(root_ / "whole"), before);
  ASSERT_EQ(AppendToFile(root_ / "whole/records.jsonl", "{\"id\": 3}\n"), absl::OkStatus());
  ExpectOutcome(Run("whole", {"--resume"}), absl::StatusCode::kInvalidArgument, "records.jsonl line 11");
}

TEST_F(GuardRunTest, CountsWhatCannotBeModeratedAndLetsNoneThrough) {
  const fs::path file = root_ / "broken.parquet";
  std::vector<data::PreferenceRow> rows(2);
  for (data::PreferenceRow& row : rows) {
    row.question = "what?";
    row.response[0] = "a";
    row.response[1] = "b";
    row.more_helpful = row.safer = 1;
  }
  rows[0].pictures = {{"rubbish", "x.png"}};
  rows[1].pictures = {{training::TinyPng(1, 2, 3), "y.png"}};
  ASSERT_EQ(data::WritePreferences(file, rows), absl::OkStatus());
  data_ = file.string();
  const Outcome outcome = Run("out", {"--refuse-at", "never"});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_THAT(outcome.out, HasSubstr("1 of those refused could not be moderated"));
  const json summary = Summary(root_ / "out");
  EXPECT_EQ(summary["questions_not_moderated"], 1);
  EXPECT_FALSE(summary.contains("synthetic"));
  const std::vector<json> records = Records(root_ / "out");
  EXPECT_EQ(records[0]["end"], "refused");
  EXPECT_THAT(records[0]["question_verdict"]["not_moderated"].get<std::string>(), HasSubstr("picture 1"));
  EXPECT_EQ(records[1]["end"], "fallback");
}

TEST_F(GuardRunTest, RefusesFoldersAndFlagsThatMakeNoSense) {
  ExpectOutcome(Run("out", {"--refuse-at", "safe"}), absl::StatusCode::kInvalidArgument,
                "--refuse-at is 'safe'");
  ExpectOutcome(Run("out", {"--regenerate-at", "never"}), absl::StatusCode::kInvalidArgument,
                "--regenerate-at is 'never'");
  ExpectOutcome(Run("out", {"--temperature", "0"}), absl::StatusCode::kInvalidArgument,
                "the same in every round");
  ExpectOutcome(Run("out", {"--chunk", "0"}), absl::StatusCode::kInvalidArgument, "usage");
  guard_ = policy_;
  ExpectOutcome(Run("out"), absl::StatusCode::kNotFound, "rein train guard");
  EXPECT_FALSE(fs::exists(root_ / "out"));
}

TEST(GuardSummary, NamesALineThatIsNoRecord) {
  const fs::path file = FreshFolder("records") / "records.jsonl";
  for (const char* text : {"\n", "{}\n", "[1, 2]\n", "not json\n"}) {
    ASSERT_EQ(WriteFileAtomically(file, text), absl::OkStatus());
    const absl::Status status = GuardSummary::Read(file, 3).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_THAT(status.message(), HasSubstr("records.jsonl line 1"));
  }
  EXPECT_EQ(GuardSummary::Read("/nowhere/records.jsonl", 3).status().code(), absl::StatusCode::kNotFound);
}

TEST(GuardModerate, SaysWhatItThinksOfQuestionAndAnswer) {
  const std::vector<std::string> question = {
      "guard",    "moderate", "--guard", Guard({.question = kNever, .answer = kAlways}),
      "--prompt", "what?",    "--image", Picture()};
  const Outcome of_question = RunRein(question);
  ASSERT_TRUE(of_question.status.ok()) << of_question.status;
  EXPECT_THAT(of_question.out, HasSubstr("safe (p(minor) = "));
  std::vector<std::string> answer = question;
  answer.insert(answer.end(), {"--response", "", "--json"});
  const Outcome of_answer = RunRein(answer);
  ASSERT_TRUE(of_answer.status.ok()) << of_answer.status;
  EXPECT_EQ(json::parse(of_answer.out)["severity"], "severe");
  EXPECT_EQ(json::parse(of_answer.out)["at_or_above"].size(), 3u);
}

TEST(TrainGuard, WritesAGuardThatModerates) {
  const fs::path data = FreshFolder("scenes"), output = FreshFolder("output") / "guard";
  ASSERT_EQ(data::MakeScenes({.train_rows = 12, .evaluation_rows = 10}, data), absl::OkStatus());
  const fs::path file = FreshFolder("job") / "guard.yaml";
  ASSERT_EQ(WriteFileAtomically(
                file, absl::StrCat("model: ", Policy(), "\ndata: ", (data / "preferences.parquet").string(),
                                   "\nevaluation: ", (data / "evaluation.parquet").string(),
                                   "\noutput: ", output.string(),
                                   "\nsteps: 2\nbatch: 2\nfalse_positive_rate: 0.1\ncategory_weight: 0.5\n")),
            absl::OkStatus());
  const Outcome trained = RunRein({"train", "guard", file.string()});
  ASSERT_TRUE(trained.status.ok()) << trained.status;
  EXPECT_THAT(trained.out, AllOf(HasSubstr("question_macro_f1"), HasSubstr("answer_auc")));
  const auto config = guard::ReadGuardConfig(output);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->false_positive_rate, 0.1);
  EXPECT_TRUE(RunRein({"guard", "moderate", "--guard", output.string(), "--prompt", "a", "--response", "b"})
                  .status.ok());
}

TEST(GuardModerate, NamesWhatItCannotLookAt) {
  const fs::path file = FreshFolder("pictures") / "broken.png";
  ASSERT_EQ(WriteFileAtomically(file, "rubbish"), absl::OkStatus());
  const std::string guard = Guard({});
  ExpectOutcome(
      RunRein({"guard", "moderate", "--guard", guard, "--prompt", "what?", "--image", file.string()}),
      absl::StatusCode::kInvalidArgument, "could not be moderated: picture 1");
  ExpectOutcome(
      RunRein({"guard", "moderate", "--guard", guard, "--prompt", "what?", "--image", "/nowhere.png"}),
      absl::StatusCode::kNotFound, "/nowhere.png");
}

TEST(GenerateWithGuard, RefusesRegeneratesAndTellsTheVerdicts) {
  const std::string policy = Policy(), picture = Picture();
  const auto generate = [&](const guard::Thresholds& thresholds, std::string* verdicts) {
    testing::internal::CaptureStderr();
    const Outcome outcome = RunRein({"generate", "--model", policy, "--prompt", "what?", "--image", picture,
                                     "--max-tokens", "5", "--guard", Guard(thresholds), "--rounds", "2",
                                     "--refusal-text", "no", "--fallback-text", "none"});
    *verdicts = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(outcome.status.ok()) << outcome.status;
    return outcome.out;
  };
  std::string verdicts;
  EXPECT_EQ(generate({.question = kAlways}, &verdicts), "no\n");
  EXPECT_THAT(verdicts, AllOf(HasSubstr("question: severe"), testing::Not(HasSubstr("round 1"))));
  EXPECT_EQ(generate({.question = kNever, .answer = kAlways}, &verdicts), "none\n");
  EXPECT_THAT(verdicts,
              AllOf(HasSubstr("question: safe"), HasSubstr("round 1: severe"), HasSubstr("round 2: severe")));
  const std::string answer = generate({.question = kNever, .answer = kNever}, &verdicts);
  EXPECT_NE(answer, "none\n");
  EXPECT_THAT(verdicts, HasSubstr("round 1: safe"));
  EXPECT_EQ(generate({.question = kNever, .answer = kNever}, &verdicts), answer);
}

TEST(GenerateWithGuard, NeedsAGuardForItsFlags) {
  ExpectOutcome(RunRein({"generate", "--model", "m", "--prompt", "p", "--rounds", "2"}),
                absl::StatusCode::kInvalidArgument, "--guard");
  ExpectOutcome(RunRein({"generate", "--model", "m", "--prompt", "p", "--guard", "g", "--greedy"}),
                absl::StatusCode::kInvalidArgument, "the same in every round");
}

}  // namespace
}  // namespace rein::cli
