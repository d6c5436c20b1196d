#include "data/preferences.h"

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/writer.h>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

std::filesystem::path FreshFolder() {
  const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(::testing::TempDir()) / absl::StrCat("rein_preferences_", info->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

PreferenceRow Row(int i) {
  PreferenceRow row;
  row.question = absl::StrCat("what is ", i, "?");
  row.pictures = {
      {std::string("\x89PNG\0binary", 11) + std::to_string(i), absl::StrCat("pictures/", i, ".png")}};
  row.response[0] = "yes";
  row.response[1] = absl::StrCat("no ", i);
  row.more_helpful = 1 + i % 2;
  row.safer = 2 - i % 2;
  row.harmless_rate[0] = i % 7 - 3;
  row.harmless_rate[1] = 3;
  row.is_safe[0] = row.harmless_rate[0] >= 0;
  if (i % 3 != 0) row.helpful_rate[1] = i % 4;
  row.category = i % 2 == 0 ? "benign" : "animal_abuse";
  if (i % 2 == 1) row.severity = "minor";
  return row;
}

std::vector<PreferenceRow> Rows(int count) {
  std::vector<PreferenceRow> rows;
  for (int i = 0; i < count; ++i) rows.push_back(Row(i));
  return rows;
}

using ArrayPtr = std::shared_ptr<arrow::Array>;

template <typename Builder, typename T>
ArrayPtr Column(const std::vector<T>& values) {
  Builder builder;
  for (const T& value : values) EXPECT_TRUE(builder.Append(value).ok());
  return *builder.Finish();
}

// A foreign file: three rows, with the columns of `columns` in place of or beside the usual ones. A null
// array leaves the column out.
std::filesystem::path WriteForeign(const std::filesystem::path& path,
                                   std::map<std::string, ArrayPtr> columns) {
  using Texts = std::vector<std::string>;
  const auto text = [](const Texts& values) { return Column<arrow::StringBuilder>(values); };
  const auto number = [](const std::vector<int64_t>& values) { return Column<arrow::Int64Builder>(values); };
  columns.insert({{"question", text({"q1", "q2", "q3"})},
                  {"image", Column<arrow::BinaryBuilder>(Texts{"a", "b", "c"})},
                  {"response_1", text({"x", "x", "x"})},
                  {"response_2", text({"y", "y", "y"})},
                  {"more_helpful_response_id", number({1, 2, 1})},
                  {"safer_response_id", number({2, 1, 2})},
                  {"response_1_harmless_rate", number({-3, 0, 3})},
                  {"response_2_harmless_rate", number({1, 1, 1})},
                  {"is_response_1_safe", text({"no", "yes", "Yes"})},
                  {"is_response_2_safe", text({"yes", "yes", "yes"})},
                  {"category", text({"benign", "benign", "benign"})}});
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (const auto& [name, array] : columns) {
    if (array == nullptr) continue;
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  const auto table = arrow::Table::Make(arrow::schema(fields), arrays);
  const auto stream = *arrow::io::FileOutputStream::Open(path.string());
  EXPECT_TRUE(parquet::arrow::WriteTable(*table, arrow::default_memory_pool(), stream).ok());
  EXPECT_TRUE(stream->Close().ok());
  return path;
}

ReadReport Report(const std::filesystem::path& path) {
  const auto report = ReadPreferences(path, {}, [](PreferenceRow) { return absl::OkStatus(); });
  EXPECT_TRUE(report.ok()) << report.status();
  return report.value_or(ReadReport{});
}

TEST(Preferences, RowsSurviveARoundTrip) {
  const std::filesystem::path path = FreshFolder() / "rows.parquet";
  const std::vector<PreferenceRow> rows = Rows(700);  // more than a batch
  ASSERT_EQ(WritePreferences(path, rows), absl::OkStatus());
  const auto read = LoadPreferences(path);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, rows);
}

TEST(Preferences, EqualRowsGiveEqualBytes) {
  const std::filesystem::path folder = FreshFolder();
  ASSERT_EQ(WritePreferences(folder / "a", Rows(50)), absl::OkStatus());
  ASSERT_EQ(WritePreferences(folder / "b", Rows(50)), absl::OkStatus());
  EXPECT_EQ(*ReadFile(folder / "a"), *ReadFile(folder / "b"));
}

TEST(Preferences, ReadsAllFilesBelowAFolderInNameOrder) {
  const std::filesystem::path folder = FreshFolder();
  std::filesystem::create_directories(folder / "b_category");
  ASSERT_EQ(WritePreferences(folder / "b_category" / "train.parquet", {Row(2)}), absl::OkStatus());
  ASSERT_EQ(WritePreferences(folder / "a.parquet", {Row(1)}), absl::OkStatus());
  ASSERT_EQ(WriteFileAtomically(folder / "README.md", "no parquet"), absl::OkStatus());
  const auto read = LoadPreferences(folder);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_THAT(*read, ElementsAre(Row(1), Row(2)));
}

TEST(Preferences, TheVisitorCanStop) {
  const std::filesystem::path path = FreshFolder() / "rows.parquet";
  ASSERT_EQ(WritePreferences(path, Rows(10)), absl::OkStatus());
  int seen = 0;
  const auto report = ReadPreferences(path, {}, [&](PreferenceRow) {
    return ++seen < 3 ? absl::OkStatus() : absl::CancelledError("enough");
  });
  EXPECT_EQ(report.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(seen, 3);
}

TEST(Preferences, TakesTextIdsDoublesBooleansAndDictionaries) {
  const ArrayPtr categories = *arrow::DictionaryArray::FromArrays(
      Column<arrow::Int32Builder>(std::vector<int32_t>{1, 0, 1}),
      Column<arrow::StringBuilder>(std::vector<std::string>{"benign", "horror_and_gore"}));
  const auto read = LoadPreferences(WriteForeign(
      FreshFolder() / "foreign.parquet",
      {{"more_helpful_response_id", Column<arrow::StringBuilder>(std::vector<std::string>{"1", "2", "1"})},
       {"safer_response_id", Column<arrow::Int32Builder>(std::vector<int32_t>{2, 1, 2})},
       {"response_2_harmless_rate", Column<arrow::DoubleBuilder>(std::vector<double>{3, -1, 2})},
       {"is_response_2_safe", Column<arrow::BooleanBuilder>(std::vector<bool>{true, false, true})},
       {"category", categories}}));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[1].more_helpful, 2);
  EXPECT_EQ((*read)[1].safer, 1);
  EXPECT_EQ((*read)[1].harmless_rate[1], -1);
  EXPECT_FALSE((*read)[1].is_safe[1]);
  EXPECT_TRUE((*read)[2].is_safe[0]);
  EXPECT_EQ((*read)[0].category, "horror_and_gore");
  EXPECT_EQ((*read)[0].pictures[0].bytes, "a");
  EXPECT_FALSE((*read)[0].helpful_rate[0].has_value());
}

TEST(Preferences, DropsAndCountsRowsThatCannotBeUsed) {
  const std::filesystem::path folder = FreshFolder();
  const ReadReport equal = Report(
      WriteForeign(folder / "equal.parquet",
                   {{"response_2", Column<arrow::StringBuilder>(std::vector<std::string>{"x", "y", "x"})}}));
  EXPECT_EQ(equal.rows, 3);
  EXPECT_EQ(equal.kept, 1);
  EXPECT_THAT(equal.dropped, ElementsAre(Pair("equal responses", 2)));
  const ReadReport ids = Report(
      WriteForeign(folder / "ids.parquet",
                   {{"safer_response_id", Column<arrow::Int64Builder>(std::vector<int64_t>{0, 1, 3})}}));
  EXPECT_THAT(ids.dropped, ElementsAre(Pair("safer_response_id outside {1, 2}", 2)));
  const ReadReport rates = Report(WriteForeign(
      folder / "rates.parquet",
      {{"response_1_harmless_rate", Column<arrow::DoubleBuilder>(std::vector<double>{0.5, 4, -3})}}));
  EXPECT_THAT(rates.dropped, ElementsAre(Pair("harmless rate outside -3..3", 2)));
  const ReadReport words =
      Report(WriteForeign(folder / "words.parquet",
                          {{"is_response_1_safe",
                            Column<arrow::StringBuilder>(std::vector<std::string>{"maybe", "no", "yes"})}}));
  EXPECT_THAT(words.dropped, ElementsAre(Pair("is_response_safe is neither yes nor no", 1)));
}

TEST(Preferences, MapsColumnNamesAndListsTheColumnsFoundOtherwise) {
  const std::filesystem::path path =
      WriteForeign(FreshFolder() / "foreign.parquet",
                   {{"question", nullptr},
                    {"prompt", Column<arrow::StringBuilder>(std::vector<std::string>{"p1", "p2", "p3"})}});
  const absl::Status status = LoadPreferences(path).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("lacks the column question"), HasSubstr("category"), HasSubstr("prompt")));
  const auto mapped = LoadPreferences(path, {{"question", "prompt"}});
  ASSERT_TRUE(mapped.ok()) << mapped.status();
  EXPECT_EQ((*mapped)[2].question, "p3");
  EXPECT_THAT(LoadPreferences(path, {{"questoin", "prompt"}}).status().message(), HasSubstr("questoin"));
}

TEST(Preferences, RefusesAMissingPathAndAFolderWithoutParquet) {
  const std::filesystem::path folder = FreshFolder();
  EXPECT_EQ(LoadPreferences(folder / "absent").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadPreferences(folder).status().code(), absl::StatusCode::kNotFound);
}

TEST(Preferences, RefusesEmptyForeignAndTruncatedFiles) {
  const std::filesystem::path path = FreshFolder() / "rows.parquet";
  const auto refusal = [&path](absl::string_view bytes) {
    EXPECT_EQ(WriteFileAtomically(path, bytes), absl::OkStatus());
    const absl::Status status = LoadPreferences(path).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << status;
    return std::string(status.message());
  };
  EXPECT_THAT(refusal(""), HasSubstr("is empty"));
  EXPECT_THAT(refusal("question,answer\nwhat,that\n"), HasSubstr("is not a parquet file"));
  EXPECT_THAT(refusal("PAR1\xff\xff\xff\x7fPAR1"), HasSubstr("cannot be read as parquet"));
  ASSERT_EQ(WritePreferences(path, Rows(20)), absl::OkStatus());
  const std::string whole = *ReadFile(path);
  EXPECT_THAT(refusal(whole.substr(0, whole.size() / 2)), HasSubstr("is truncated"));
  ASSERT_EQ(WritePreferences(path, {}), absl::OkStatus());
  EXPECT_THAT(refusal(*ReadFile(path)), HasSubstr("holds no rows"));
}

TEST(Preferences, FlippedBytesGiveErrorsOrRowsAndNeverCrash) {
  const std::filesystem::path path = FreshFolder() / "rows.parquet";
  ASSERT_EQ(WritePreferences(path, Rows(20)), absl::OkStatus());
  const std::string whole = *ReadFile(path);
  int errors = 0;
  for (size_t at = 4; at + 8 < whole.size(); at += whole.size() / 150 + 1) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x5A);
    ASSERT_EQ(WriteFileAtomically(path, bytes), absl::OkStatus());
    errors += LoadPreferences(path).ok() ? 0 : 1;
  }
  EXPECT_GT(errors, 0);
}

TEST(Preferences, WritingLeavesNoFileBehindWhereItFails) {
  const std::filesystem::path folder = FreshFolder();
  EXPECT_FALSE(WritePreferences(folder / "absent" / "rows.parquet", Rows(1)).ok());
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

}  // namespace
}  // namespace rein::data
