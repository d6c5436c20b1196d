#include "coordinator/prompts.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>

#include <algorithm>
#include <set>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/hash.h"
#include "data/image.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::coordinator {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::filesystem::path FreshFolder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / absl::StrCat("rein_prompts_", info->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

std::string Png(int colour) {
  return *data::EncodePng({1, 1, {static_cast<uint8_t>(colour), static_cast<uint8_t>(colour >> 8), 7}});
}

data::PreferenceRow Row(const std::string& question, const std::string& picture) {
  data::PreferenceRow row;
  row.question = question;
  row.pictures = {{picture, ""}};
  row.response[0] = "yes";
  row.response[1] = "no";
  row.more_helpful = row.safer = 1;
  row.category = "benign";
  return row;
}

std::vector<data::PreferenceRow> Rows(int count) {
  std::vector<data::PreferenceRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back(Row(absl::StrCat("what is ", i, "?"), Png(i)));
  return rows;
}

std::filesystem::path Written(const std::vector<data::PreferenceRow>& rows) {
  const std::filesystem::path path = FreshFolder() / "rows.parquet";
  EXPECT_EQ(data::WritePreferences(path, rows), absl::OkStatus());
  return path;
}

PromptSource Loaded(const std::filesystem::path& path, const std::string& prefix = "", uint64_t seed = 1,
                    size_t max_rows = 0) {
  absl::StatusOr<PromptSource> source = PromptSource::Load(path, prefix, seed, max_rows);
  if (!source.ok()) throw std::runtime_error(source.status().ToString());
  return *std::move(source);
}

TEST(Prompts, ShowQuestionPictureAndCategoryInFileOrder) {
  const PromptSource source = Loaded(Written(Rows(5)), "eval-");
  ASSERT_EQ(source.size(), 5u);
  const v1::Prompt prompt = source.Row(3);
  EXPECT_EQ(prompt.prompt_id(), "eval-3");
  EXPECT_EQ(prompt.question(), "what is 3?");
  EXPECT_EQ(prompt.category(), "benign");
  ASSERT_EQ(prompt.images_size(), 1);
  EXPECT_EQ(prompt.images(0).digest(), Sha256Hex(Png(3)));
  EXPECT_EQ(prompt.images(0).media_type(), "image/png");
  EXPECT_EQ(prompt.images(0).size_bytes(), static_cast<int64_t>(Png(3).size()));
}

TEST(Prompts, ShowNoPictureOrSeveralInTheirOrder) {
  const std::filesystem::path folder = FreshFolder();
  for (int i = 0; i < 2; ++i) {
    ASSERT_EQ(WriteFileAtomically(folder / absl::StrCat(i, ".png"), Png(i)), absl::OkStatus());
  }
  ASSERT_EQ(WriteFileAtomically(folder / "rows.jsonl",
                                R"({"question": "q", "images": ["1.png", "0.png", "1.png"]}
{"question": "q", "images": ["0.png", "1.png"]}
{"question": "q", "images": ["0.png", "1.png"]}
{"question": "q"}
)"),
            absl::OkStatus());
  const PromptSource source = Loaded(folder / "rows.jsonl");
  ASSERT_EQ(source.size(), 3u) << "the third row is the second one again";
  const v1::Prompt prompt = source.Row(0);
  ASSERT_EQ(prompt.images_size(), 3);
  EXPECT_EQ(prompt.images(0).digest(), Sha256Hex(Png(1)));
  EXPECT_EQ(prompt.images(1).digest(), Sha256Hex(Png(0)));
  EXPECT_EQ(prompt.images(2).digest(), Sha256Hex(Png(1)));
  EXPECT_EQ(source.Row(2).images_size(), 0);
  for (int i = 0; i < 2; ++i) {
    const auto blob = source.Encoded(prompt.images(i).digest());
    ASSERT_TRUE(blob.ok()) << blob.status();
    EXPECT_EQ(**blob, Png(1 - i));
  }
}

TEST(Prompts, AreDrawnOnceAnEpochEachWithAnIdOfItsOwn) {
  const PromptSource source = Loaded(Written(Rows(40)));
  std::set<std::string> ids;
  std::vector<std::string> order[2];
  for (uint64_t cursor = 0; cursor < 80; ++cursor) {
    const v1::Prompt prompt = source.Draw(cursor);
    ids.insert(prompt.prompt_id());
    order[cursor / 40].push_back(prompt.question());
    EXPECT_THAT(prompt.prompt_id(), testing::EndsWith(absl::StrCat(".", cursor / 40)));
    ASSERT_TRUE(source.RowOf(prompt.prompt_id()).has_value());
    EXPECT_EQ(source.Row(*source.RowOf(prompt.prompt_id())).question(), prompt.question());
  }
  EXPECT_EQ(ids.size(), 80u);
  EXPECT_NE(order[0], order[1]);
  for (auto& questions : order)
    EXPECT_EQ(std::set<std::string>(questions.begin(), questions.end()).size(), 40u);
}

TEST(Prompts, DependOnSeedAndCursorOnly) {
  const std::filesystem::path path = Written(Rows(40));
  const PromptSource source = Loaded(path), again = Loaded(path), other = Loaded(path, "", 2);
  std::vector<std::string> forward, backward, others;
  for (uint64_t cursor = 0; cursor < 130; ++cursor) {
    forward.push_back(source.Draw(cursor).prompt_id());
    backward.push_back(again.Draw(129 - cursor).prompt_id());
    others.push_back(other.Draw(cursor).prompt_id());
  }
  std::reverse(backward.begin(), backward.end());
  EXPECT_EQ(forward, backward);
  EXPECT_NE(forward, others);
}

TEST(Prompts, AreTakenOnceByPictureAndText) {
  const PromptSource source = Loaded(Written({Row("a", Png(1)), Row("a", Png(2)), Row("b", Png(1)),
                                              Row("a", Png(1)), Row("a", Png(2)), Row("c", Png(3))}));
  ASSERT_EQ(source.size(), 4u);
  EXPECT_EQ(source.Row(3).question(), "c");
  EXPECT_EQ(source.report().rows, 6);
  EXPECT_EQ(source.report().kept, 4);
  EXPECT_THAT(source.report().dropped, ElementsAre(Pair("same picture and question", 2)));
}

TEST(Prompts, OfUnknownPicturesAreDroppedAndBrokenOnesLeftToAdmission) {
  const PromptSource source =
      Loaded(Written({Row("a", "GIF89a"), Row("b", Png(1).substr(0, 40)), Row("c", Png(2))}));
  ASSERT_EQ(source.size(), 2u);
  EXPECT_EQ(source.Row(0).question(), "b");
  EXPECT_THAT(source.report().dropped, ElementsAre(Pair("picture is neither PNG, JPEG nor WebP", 1)));
}

TEST(Prompts, StopAtTheRowsAskedFor) {
  const PromptSource source = Loaded(Written(Rows(9)), "eval-", 1, 4);
  EXPECT_EQ(source.size(), 4u);
  EXPECT_EQ(source.report().rows, 9);
  EXPECT_THAT(source.report().dropped, ElementsAre(Pair("past the first 4", 5)));
}

TEST(Prompts, CountWhatTheReaderDropsToo) {
  std::vector<data::PreferenceRow> rows = Rows(3);
  rows[1].response[1] = rows[1].response[0];
  const PromptSource source = Loaded(Written(rows));
  EXPECT_EQ(source.size(), 2u);
  EXPECT_THAT(source.report().dropped, ElementsAre(Pair("equal responses", 1)));
}

TEST(Prompts, ServeTheirPictures) {
  const PromptSource source = Loaded(Written(Rows(3)));
  const auto blob = source.Encoded(source.Row(2).images(0).digest());
  ASSERT_TRUE(blob.ok()) << blob.status();
  EXPECT_EQ(**blob, Png(2));
  EXPECT_EQ(source.Encoded(Sha256Hex("other")).status().code(), absl::StatusCode::kNotFound);
}

TEST(Prompts, KnowTheirIdsFromThoseOfOthers) {
  const std::filesystem::path path = Written(Rows(3));
  const PromptSource train = Loaded(path), evaluation = Loaded(path, "eval-");
  EXPECT_EQ(train.RowOf("2.17"), 2u);
  EXPECT_EQ(evaluation.RowOf("eval-2"), 2u);
  for (const char* id : {"", "eval-2", "3.0", "-1.0", "x.0", "."}) EXPECT_FALSE(train.RowOf(id)) << id;
  for (const char* id : {"2.17", "eval-", "eval-3"}) EXPECT_FALSE(evaluation.RowOf(id)) << id;
}

TEST(Prompts, OfScenesKnowTheirGroundTruth) {
  const std::filesystem::path folder = FreshFolder() / "scenes";
  data::ScenesOptions options;
  options.train_rows = 60;
  options.evaluation_rows = 20;
  ASSERT_EQ(data::MakeScenes(options, folder), absl::OkStatus());
  const PromptSource source = Loaded(folder / "evaluation.parquet", "eval-");
  int harmful = 0;
  for (size_t i = 0; i < source.size(); ++i) {
    ASSERT_TRUE(source.SceneOf(i).has_value());
    EXPECT_EQ(source.SceneOf(i)->question, source.Row(i).question());
    EXPECT_EQ(source.SceneOf(i)->harmful, source.Row(i).category() != "benign");
    harmful += source.SceneOf(i)->harmful;
  }
  EXPECT_GT(harmful, 0);
  EXPECT_FALSE(Loaded(Written(Rows(1))).SceneOf(0).has_value());
}

// One row whose picture is null: a question by itself.
std::filesystem::path WriteQuestionAlone() {
  const auto text = [](const char* value) {
    arrow::StringBuilder builder;
    EXPECT_TRUE(builder.Append(value).ok());
    return *builder.Finish();
  };
  arrow::BinaryBuilder picture;
  EXPECT_TRUE(picture.AppendNull().ok());
  const std::vector<std::pair<std::string, std::shared_ptr<arrow::Array>>> columns = {
      {"question", text("why?")},
      {"image", *picture.Finish()},
      {"response_1", text("x")},
      {"response_2", text("y")},
      {"more_helpful_response_id", text("1")},
      {"safer_response_id", text("2")},
      {"response_1_harmless_rate", text("0")},
      {"response_2_harmless_rate", text("1")},
      {"is_response_1_safe", text("yes")},
      {"is_response_2_safe", text("yes")},
      {"category", text("benign")}};
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  const std::filesystem::path path = FreshFolder() / "question.parquet";
  const auto stream = *arrow::io::FileOutputStream::Open(path.string());
  const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), stream).ok());
  EXPECT_TRUE(stream->Close().ok());
  return path;
}

TEST(Prompts, MayComeWithoutAPicture) {
  const PromptSource source = Loaded(WriteQuestionAlone());
  ASSERT_EQ(source.size(), 1u);
  EXPECT_EQ(source.Draw(5).prompt_id(), "0.5");
  EXPECT_EQ(source.Draw(5).images_size(), 0);
}

TEST(BadPrompts, AreRefusedWithTheReason) {
  const std::filesystem::path folder = FreshFolder();
  const auto refusal = [](const std::filesystem::path& path) {
    return PromptSource::Load(path, "", 1, 0).status();
  };
  EXPECT_EQ(refusal(folder / "absent.parquet").code(), absl::StatusCode::kNotFound);
  ASSERT_EQ(WriteFileAtomically(folder / "text.parquet", "question,answer\nwhat,that\n"), absl::OkStatus());
  EXPECT_EQ(refusal(folder / "text.parquet").code(), absl::StatusCode::kInvalidArgument);
  const absl::Status none = refusal(Written({Row("a", "GIF89a"), Row("b", "BM")}));
  EXPECT_EQ(none.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(none.message(), AllOf(HasSubstr("none of 2 rows"), HasSubstr("neither PNG, JPEG nor WebP: 2")));
}

}  // namespace
}  // namespace rein::coordinator
