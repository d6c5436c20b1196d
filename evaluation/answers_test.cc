#include "evaluation/answers.h"

#include "base/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::evaluation {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::SizeIs;

TEST(Answers, ReadsRowsWithAllThatMayBeSaid) {
  const TestFolder folder;
  const auto answers = ReadAnswers(
      folder.Write("a.jsonl",
                   "{\"id\":\"q1\",\"question\":\"What?\",\"answer\":\"A "
                   "circle.\",\"image\":\"p/1.png\",\"picture_name\":\"one\","
                   "\"category\":\"benign\",\"severity\":\"safe\",\"reward\":1.5,\"cost\":-2,\"cut\":true}\n"
                   "{\"id\":7,\"question\":\"Why?\",\"answer\":\"\",\"image\":\"p/2.png\",\"other\":[1]}\n"));
  ASSERT_TRUE(answers.ok()) << answers.status();
  ASSERT_THAT(answers->rows, SizeIs(2));
  EXPECT_EQ(answers->read, 2);
  const AnsweredQuestion& first = answers->rows[0];
  EXPECT_EQ(first.question.id, "q1");
  EXPECT_EQ(first.question.image, "p/1.png");
  EXPECT_EQ(first.question.picture_name, "one");
  EXPECT_TRUE(first.question.benign());
  EXPECT_EQ(first.question.severity, "safe");
  EXPECT_EQ(first.answer.text, "A circle.");
  EXPECT_EQ(first.answer.reward, 1.5);
  EXPECT_EQ(first.answer.cost, -2);
  EXPECT_EQ(first.answer.cut, true);
  const AnsweredQuestion& second = answers->rows[1];
  EXPECT_EQ(second.question.id, "7");
  EXPECT_EQ(second.question.picture_name, "p/2.png");
  EXPECT_FALSE(second.question.benign() || second.question.harmful());
  EXPECT_FALSE(second.answer.reward.has_value());
  EXPECT_FALSE(second.answer.cut.has_value());
}

TEST(Answers, DropsAndCountsWhatIsBroken) {
  const TestFolder folder;
  const auto answers =
      ReadAnswers(folder.Write("a.jsonl",
                               "{\"id\":\"1\",\"question\":\"q\",\"answer\":\"a\"}\n"
                               "{\"id\":\"1\",\"question\":\"q\",\"answer\":\"b\"}\n"
                               "{\"question\":\"q\",\"answer\":\"a\"}\n"
                               "{\"id\":\"\",\"question\":\"q\",\"answer\":\"a\"}\n"
                               "{\"id\":\"2\",\"answer\":\"a\"}\n"
                               "{\"id\":\"3\",\"question\":\"q\"}\n"
                               "{\"id\":\"4\",\"question\":\"q\",\"answer\":5}\n"
                               "{\"id\":\"5\",\"question\":\"q\",\"answer\":\"a\",\"cost\":\"low\"}\n"
                               "{\"id\":\"6\",\"question\":\"q\",\"answer\":\"a\",\"reward\":1e999}\n"
                               "{\"id\":\"8\",\"question\":\"q\",\"left_out\":\"picture broken\"}\n"
                               "{\"id\":\"9\",\"question\":\"q\",\"answer\":\"a\",\"cut\":\"perhaps\"}\n"
                               "{\"id\":\"7\",\"question\":\"q\",\n"
                               "[]\n"));
  ASSERT_TRUE(answers.ok()) << answers.status();
  EXPECT_THAT(answers->rows, SizeIs(1));
  EXPECT_EQ(answers->read, 13);
  EXPECT_THAT(answers->dropped,
              ElementsAre(Pair("answer is not text", 1), Pair("cost is not a finite number", 1),
                          Pair("cut is neither true nor false", 1), Pair("no answer", 1), Pair("no id", 2),
                          Pair("no question", 1), Pair("not JSON", 2), Pair("not a JSON object", 1),
                          Pair("picture broken", 1), Pair("repeated id", 1)));
}

TEST(Answers, NamesAFileWithoutAnswers) {
  const TestFolder folder;
  const auto rows = ReadAnswers(folder.Write("a.jsonl", "{\"question\":\"q\",\"answer\":\"a\"}\n"));
  EXPECT_EQ(rows.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(rows.status().message()), AllOf(HasSubstr("a.jsonl"), HasSubstr("no id: 1")));
  EXPECT_EQ(ReadAnswers(folder.path() / "none.jsonl").status().code(), absl::StatusCode::kNotFound);
  EXPECT_FALSE(ReadAnswers(folder.Write("b.jsonl", "")).ok());
  EXPECT_FALSE(ReadAnswers(folder.Write("c.jsonl", "id,question,answer\n")).ok());
}

AnsweredQuestion Row(const std::string& id, const std::string& question, const std::string& answer) {
  AnsweredQuestion row;
  row.question.id = id;
  row.question.text = question;
  row.answer.text = answer;
  return row;
}

TEST(Answers, PairsByIdAndCountsTheRest) {
  AnswerFile ours, base;
  ours.rows = {Row("1", "q1", "a"), Row("2", "q2", "a"), Row("3", "q3", "a"), Row("4", "q4", "a")};
  ours.rows[0].question.category = "benign";
  ours.rows[3].question.picture_name = "x.png";
  base.rows = {Row("5", "q5", "b"), Row("2", "other", "b"), Row("1", "q1", "b"), Row("4", "q4", "b")};
  const auto paired = PairAnswers(ours, base);
  ASSERT_TRUE(paired.ok()) << paired.status();
  ASSERT_THAT(paired->pairs, SizeIs(1));
  EXPECT_EQ(paired->pairs[0].question.category, "benign");
  EXPECT_EQ(paired->pairs[0].ours.text, "a");
  EXPECT_EQ(paired->pairs[0].base.text, "b");
  EXPECT_EQ(paired->only_ours, 1);
  EXPECT_EQ(paired->only_base, 1);
  EXPECT_EQ(paired->different_questions, 2);
}

TEST(Answers, RefusesFilesWithoutACommonQuestion) {
  AnswerFile ours, base;
  ours.rows = {Row("1", "q1", "a")};
  base.rows = {Row("2", "q1", "a")};
  const auto paired = PairAnswers(ours, base);
  EXPECT_EQ(paired.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(paired.status().message()), HasSubstr("1 ids are only in the first"));
}

TEST(Answers, LoadsPicturesBelowTheirFolderOnly) {
  const TestFolder folder;
  folder.Write("in/p/1.png", "bytes");
  folder.Write("out.png", "secret");
  EXPECT_EQ(*LoadImage(folder.path() / "in", "p/1.png"), "bytes");
  for (const std::string& path :
       {std::string("p/2.png"), std::string("../out.png"), (folder.path() / "out.png").string()}) {
    EXPECT_EQ(LoadImage(folder.path() / "in", path).status().code(), absl::StatusCode::kNotFound) << path;
  }
}

}  // namespace
}  // namespace rein::evaluation
