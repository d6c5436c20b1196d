// rein eval answers, and what becomes of its files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/verb_under_test.h"
#include "data/scenes.h"
#include "nlohmann/json.hpp"
#include "training/tiny_llava.h"

namespace rein::cli {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using training::FreshFolder;
namespace fs = std::filesystem;

fs::path TinyModel(const std::string& name, uint64_t seed) {
  const fs::path folder = FreshFolder(name);
  training::WriteTinyModel(folder, seed);
  return folder;
}

fs::path TinyScorer(const std::string& name, uint64_t seed) {
  const auto model = training::MakeTinyModel(name + "_config", seed);
  model->AddScoreHead(seed);
  const fs::path folder = FreshFolder(name);
  EXPECT_EQ(models::SaveModel(*model, folder), absl::OkStatus());
  return folder;
}

fs::path Scenes(int rows) {
  const fs::path folder = FreshFolder("scenes");
  data::ScenesOptions options;
  options.train_rows = 1;
  options.evaluation_rows = rows;
  EXPECT_EQ(data::MakeScenes(options, folder), absl::OkStatus());
  return folder / "evaluation.parquet";
}

std::vector<json> LinesOf(const fs::path& file) {
  std::vector<json> lines;
  for (const absl::string_view line : absl::StrSplit(ReadFile(file).value_or(""), '\n', absl::SkipEmpty()))
    lines.push_back(json::parse(line));
  return lines;
}

// One policy, one data set, and files of answers in a folder of their own.
class EvalAnswers : public testing::Test {
 protected:
  Outcome Answer(const std::string& file, const std::vector<std::string>& more = {}) const {
    return AnswerData(file, data_, more);
  }
  Outcome AnswerData(const std::string& file, const fs::path& data,
                     const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"eval", "answers",  "--model", model_,         "--data",
                                          data,   "--output", At(file),  "--max-tokens", "8"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunVerb(AddEvalCommand, arguments);
  }
  // What is written, of what must succeed.
  std::string Text(const std::string& file, const std::vector<std::string>& more = {}) const {
    const Outcome outcome = Answer(file, more);
    EXPECT_EQ(outcome.status, absl::OkStatus()) << outcome.status;
    return ReadFile(At(file)).value_or("");
  }
  fs::path At(const std::string& name) const { return folder_ / name; }

  const fs::path folder_ = FreshFolder("answers");
  const fs::path model_ = TinyModel("policy", 1);
  const fs::path data_ = Scenes(9);
};

TEST_F(EvalAnswers, WritesOneLineARowWithItsPictureOnce) {
  const fs::path scorer = TinyScorer("reward", 3), cost = TinyScorer("cost", 4);
  const Outcome outcome = Answer("a.jsonl", {"--reward", scorer, "--cost", cost});
  ASSERT_EQ(outcome.status, absl::OkStatus()) << outcome.status;
  EXPECT_THAT(outcome.out, HasSubstr("a.jsonl: 9 answers, "));
  const std::vector<json> lines = LinesOf(At("a.jsonl"));
  ASSERT_EQ(lines.size(), 9u);
  const auto rows = data::LoadPreferences(data_, {}, data::Need::kQuestion);
  ASSERT_TRUE(rows.ok()) << rows.status();
  for (size_t i = 0; i < lines.size(); ++i) {
    const json& line = lines[i];
    EXPECT_EQ(line["id"], i + 1);
    EXPECT_EQ(line["question"], (*rows)[i].question);
    EXPECT_EQ(line["picture_name"], (*rows)[i].pictures[0].path);
    EXPECT_EQ(line["category"], (*rows)[i].category);
    EXPECT_TRUE(line["answer"].is_string());
    EXPECT_TRUE(line["cut"].is_boolean());
    EXPECT_NE(line["reward"], line["cost"]);
    EXPECT_EQ(ReadFile(At(line["image"])).value_or(""), (*rows)[i].pictures[0].bytes);
  }
  // Another model's answers share the pictures.
  const auto pictures = [&] {
    return std::distance(fs::directory_iterator(At("images")), fs::directory_iterator());
  };
  const auto before = pictures();
  Text("b.jsonl", {"--seed", "2"});
  EXPECT_EQ(pictures(), before);
}

TEST_F(EvalAnswers, DoNotDependOnTheSizeOfTheBatch) {
  const std::string scorer = TinyScorer("reward", 3);
  for (const std::vector<std::string>& sampling :
       std::vector<std::vector<std::string>>{{}, {"--temperature", "1", "--seed", "5"}}) {
    std::vector<std::string> texts;
    for (const char* batch : {"1", "2", "4", "64"}) {
      std::vector<std::string> flags = {"--batch", batch, "--reward", scorer};
      flags.insert(flags.end(), sampling.begin(), sampling.end());
      texts.push_back(Text(absl::StrCat("batch_", sampling.size(), "_", batch, ".jsonl"), flags));
    }
    EXPECT_EQ(texts[1], texts[0]);
    EXPECT_EQ(texts[2], texts[0]);
    EXPECT_EQ(texts[3], texts[0]);
  }
  EXPECT_NE(Text("seed.jsonl", {"--temperature", "1", "--seed", "6", "--reward", scorer}),
            ReadFile(At("batch_4_64.jsonl")).value_or(""));
}

TEST_F(EvalAnswers, AKilledRunGoesOnAndGivesTheSameBytes) {
  const std::vector<std::string> flags = {"--batch", "4", "--temperature", "1"};
  const std::string whole = Text("a.jsonl", flags);
  // Cut at the ends of lines, within lines, within and between groups, and in the empty file.
  for (const size_t size :
       {size_t{0}, size_t{1}, whole.find('\n'), whole.find('\n') + 1, whole.size() / 2, whole.size() - 1}) {
    fs::resize_file(At("a.jsonl"), size);
    EXPECT_EQ(Text("a.jsonl", flags), whole) << size;
  }
  EXPECT_EQ(Text("a.jsonl", flags), whole) << "of a finished run";
}

TEST_F(EvalAnswers, ALongerRunGoesOnFromAShorterOne) {
  Text("short.jsonl", {"--prompts", "5"});
  EXPECT_EQ(LinesOf(At("short.jsonl")).size(), 5u);
  EXPECT_EQ(Text("short.jsonl"), Text("whole.jsonl"));
  ExpectOutcome(Answer("short.jsonl", {"--prompts", "3"}), absl::StatusCode::kFailedPrecondition,
                "has 9 rows already");
}

TEST_F(EvalAnswers, RefusesToGoOnWithOtherOptions) {
  Text("a.jsonl");
  const auto expect = [&](const std::vector<std::string>& more, const std::string& text) {
    const Outcome outcome = Answer("a.jsonl", more);
    ExpectOutcome(outcome, absl::StatusCode::kFailedPrecondition, text);
    EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("a.jsonl: was begun with"));
  };
  expect({"--temperature", "0.5"}, "temperature 0.0 (now 0.5)");
  expect({"--dtype", "bfloat16"}, "dtype \"float32\" (now \"bfloat16\")");
  expect({"--seed", "2"}, "seed 1 (now 2)");
  expect({"--reward", TinyScorer("reward", 3)}, "reward null");
  training::WriteTinyModel(model_, 2);
  expect({}, "files of model");
  EXPECT_EQ(LinesOf(At("a.jsonl")).size(), 9u);
}

TEST_F(EvalAnswers, RefusesFilesThatAreNotItsOwn) {
  ASSERT_EQ(WriteFileAtomically(At("a.jsonl"), "{\"mine\": 1}\n"), absl::OkStatus());
  ExpectOutcome(Answer("a.jsonl"), absl::StatusCode::kAlreadyExists, "a.options.json");
  Text("b.jsonl");
  const std::string whole = ReadFile(At("b.jsonl")).value_or("");
  for (const char* rubbish : {"rubbish\n", "[]\n", "{\"id\": 7}\n", "{\"id\": 1}\n", "\n"}) {
    ASSERT_EQ(WriteFileAtomically(At("b.jsonl"), rubbish + whole), absl::OkStatus());
    ExpectOutcome(Answer("b.jsonl"), absl::StatusCode::kInvalidArgument, "line 1 is none of");
  }
}

TEST_F(EvalAnswers, RefusesToGoOnWithOtherData) {
  Text("a.jsonl", {"--prompts", "4"});
  std::string text = ReadFile(At("a.jsonl")).value_or("");
  const std::string question = LinesOf(At("a.jsonl"))[2]["question"];
  const std::string third = text.substr(text.find("{\"id\":3"));
  ASSERT_EQ(WriteFileAtomically(
                At("a.jsonl"),
                absl::StrReplaceAll(text, {{third, absl::StrReplaceAll(third, {{question, "else"}})}})),
            absl::OkStatus());
  ExpectOutcome(Answer("a.jsonl"), absl::StatusCode::kFailedPrecondition, "line 3 answers another question");
  const std::string image = LinesOf(At("a.jsonl"))[0]["image"];
  ASSERT_EQ(WriteFileAtomically(At("a.jsonl"), absl::StrReplaceAll(text, {{image, "images/0.png"}})),
            absl::OkStatus());
  ExpectOutcome(Answer("a.jsonl"), absl::StatusCode::kFailedPrecondition, "line 1 answers another question");
}

// Rows of our own with whatever can be wrong with a picture or a prompt.
fs::path BrokenData() {
  const fs::path folder = FreshFolder("broken");
  const std::string png = training::TinyPng(9, 90, 200);
  EXPECT_EQ(WriteFileAtomically(folder / "good.png", png), absl::OkStatus());
  EXPECT_EQ(WriteFileAtomically(folder / "cut.png", png.substr(0, png.size() / 2)), absl::OkStatus());
  EXPECT_EQ(WriteFileAtomically(folder / "text.png", "not a picture"), absl::OkStatus());
  // A header that claims 50,000 x 50,000 pixels.
  std::string large = png;
  for (const size_t at : {size_t{18}, size_t{22}}) large.replace(at, 2, "\xC3\x50");
  EXPECT_EQ(WriteFileAtomically(folder / "large.png", large), absl::OkStatus());
  std::string lines;
  for (const char* picture : {"good.png", "cut.png", "text.png", "large.png", "absent.png"})
    absl::StrAppend(&lines, json({{"question", "what?"}, {"image", picture}}).dump(), "\n");
  absl::StrAppend(&lines, json({{"question", "both?"}, {"images", {"good.png", "good.png"}}}).dump(), "\n",
                  json({{"question", std::string(3000, 'x')}}).dump(), "\n", "{\"question\": \"cut off\n",
                  json({{"question", "no picture?"}, {"category", "benign"}}).dump(), "\n");
  EXPECT_EQ(WriteFileAtomically(folder / "rows.jsonl", lines), absl::OkStatus());
  return folder / "rows.jsonl";
}

TEST_F(EvalAnswers, NamesCountsAndSurvivesWhatCannotBeAnswered) {
  const fs::path data = BrokenData();
  testing::internal::CaptureStderr();
  const Outcome outcome = AnswerData("a.jsonl", data);
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_EQ(outcome.status, absl::OkStatus()) << outcome.status;
  EXPECT_THAT(said,
              AllOf(HasSubstr("row 2 (cut.png): picture broken or too large"),
                    HasSubstr("row 3 (text.png): picture broken"), HasSubstr("row 4 (large.png): picture"),
                    HasSubstr("row 5 (good.png): several pictures"),
                    HasSubstr("row 6: prompt too long for the model: ")));
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("a.jsonl: 2 answers"), HasSubstr("picture broken or too large: 3\n"),
                    HasSubstr("several pictures: 1\n"), HasSubstr("prompt too long for the model: 1\n"),
                    HasSubstr("file of a picture not found 1"), HasSubstr("not JSON 1")));
  const std::vector<json> lines = LinesOf(At("a.jsonl"));
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_TRUE(lines[0].contains("answer"));
  EXPECT_EQ(lines[1]["left_out"], "picture broken or too large");
  EXPECT_FALSE(lines[1].contains("answer") || lines[1].contains("image"));
  EXPECT_EQ(lines[6]["category"], "benign");
  EXPECT_FALSE(lines[6].contains("image"));
  // A run that goes on counts what the first one left out.
  EXPECT_EQ(AnswerData("a.jsonl", data).out, outcome.out);
}

TEST_F(EvalAnswers, NeedsScorersWithAScoreHead) {
  ExpectOutcome(Answer("a.jsonl", {"--reward", TinyModel("no_head", 2)}),
                absl::StatusCode::kFailedPrecondition, "no score head");
}

// A scorer of few positions.
fs::path ShortScorer() {
  const fs::path config = FreshFolder("short_config"), folder = FreshFolder("short");
  training::WriteTinyFolder(config);
  const std::string text = ReadFile(config / "config.json").value_or("");
  json settings = json::parse(text);
  settings["text_config"]["max_position_embeddings"] = 16;
  EXPECT_EQ(WriteFileAtomically(config / "config.json", settings.dump()), absl::OkStatus());
  auto model = models::MakeRandomModel(config, 1);
  EXPECT_TRUE(model.ok()) << model.status();
  (*model)->AddScoreHead(1);
  EXPECT_EQ(models::SaveModel(**model, folder), absl::OkStatus());
  return folder;
}

TEST_F(EvalAnswers, KeepsAnswersThatAScorerCannotTake) {
  const std::string scorer = ShortScorer();
  testing::internal::CaptureStderr();
  const Outcome outcome = Answer("a.jsonl", {"--cost", scorer});
  const std::string said = testing::internal::GetCapturedStderr();
  ASSERT_EQ(outcome.status, absl::OkStatus()) << outcome.status;
  EXPECT_THAT(said, HasSubstr("row 1 (scenes/"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("a.jsonl: 9 answers"),
                                 HasSubstr("the cost model cannot take the answer: 9\n")));
  EXPECT_FALSE(LinesOf(At("a.jsonl"))[0].contains("cost"));
  EXPECT_EQ(Answer("a.jsonl", {"--cost", scorer}).out, outcome.out);
}

TEST_F(EvalAnswers, NamesWhatIsWrong) {
  ExpectOutcome(RunVerb(AddEvalCommand, {"eval", "answers"}), absl::StatusCode::kInvalidArgument, "usage");
  ExpectOutcome(Answer("a.jsonl", {"--max-tokens", "0"}), absl::StatusCode::kInvalidArgument, "usage");
  ExpectOutcome(Answer("a.jsonl", {"--pictures", "none"}), absl::StatusCode::kInvalidArgument, "usage");
  ExpectOutcome(Answer("a.jsonl", {"--format", "csv"}), absl::StatusCode::kInvalidArgument, "vlguard");
  ExpectOutcome(Answer("a.jsonl", {"--dtype", "int3"}), absl::StatusCode::kUnimplemented, "int3");
  ExpectOutcome(AnswerData("a.jsonl", "/nowhere"), absl::StatusCode::kNotFound, "/nowhere");
  ExpectOutcome(Answer("b.jsonl", {"--cost", "/nowhere/cost"}), absl::StatusCode::kNotFound, "/nowhere/cost");
  const fs::path renamed = FreshFolder("renamed") / "rows.jsonl";
  ASSERT_EQ(WriteFileAtomically(renamed, "{\"prompt\": \"q\", \"picture\": \"a.png\"}\n"), absl::OkStatus());
  ExpectOutcome(AnswerData("c.jsonl", renamed), absl::StatusCode::kInvalidArgument,
                "its columns are: picture, prompt");
  EXPECT_EQ(AnswerData("d.jsonl", renamed, {"--columns", "question=prompt", "--format", "rows"}).status,
            absl::OkStatus());
  EXPECT_FALSE(fs::exists(At("c.jsonl")));
}

TEST_F(EvalAnswers, ADataSetOfWhichNothingCanBeAnsweredIsAnError) {
  const fs::path file = FreshFolder("long") / "rows.jsonl";
  ASSERT_EQ(WriteFileAtomically(file, json({{"question", std::string(3000, 'x')}}).dump() + "\n"),
            absl::OkStatus());
  ExpectOutcome(AnswerData("a.jsonl", file), absl::StatusCode::kInvalidArgument,
                "none of its questions could be answered");
}

}  // namespace
}  // namespace rein::cli
