#include "data/row_reader.h"

#include <fstream>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "data/test_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rein::data {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Pair;
using ::testing::SizeIs;

struct Outcome {
  absl::Status status;
  std::vector<Row> rows;
  ReadReport report;
};

Outcome ReadAll(const std::filesystem::path& path, const ReadOptions& options = {}) {
  absl::StatusOr<RowReader> reader = RowReader::Open(path, options);
  if (!reader.ok()) return {reader.status(), {}, {}};
  Outcome outcome;
  while (true) {
    absl::StatusOr<std::optional<Row>> row = reader->Next();
    outcome.status = row.status();
    outcome.report = reader->report();
    if (!row.ok() || !row->has_value()) return outcome;
    outcome.rows.push_back(**std::move(row));
  }
}

// Reads what must be readable.
Outcome ReadGood(const std::filesystem::path& path, const ReadOptions& options = {}) {
  Outcome outcome = ReadAll(path, options);
  EXPECT_EQ(outcome.status, absl::OkStatus());
  EXPECT_EQ(outcome.report.kept, static_cast<int64_t>(outcome.rows.size()));
  return outcome;
}

ReadOptions With(Format format) {
  ReadOptions options;
  options.format = format;
  return options;
}

TEST(RowReader, ReadsTheCategoriesOfBeaverTailsV) {
  const Outcome outcome = ReadGood(Fixture("beavertails_v"));
  EXPECT_EQ(outcome.report.rows, 18);
  EXPECT_EQ(outcome.report.kept, 18);
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("beavertails-v", 6)));
  EXPECT_THAT(outcome.report.noted, IsEmpty());
  const Row& row = outcome.rows[0];  // evaluation comes before train
  EXPECT_EQ(row.question, "Question 4 about the picture?");
  EXPECT_EQ(row.category, "animal_abuse");
  EXPECT_EQ(row.severity, "safe");
  ASSERT_THAT(row.pictures, SizeIs(1));
  EXPECT_EQ(row.pictures[0].path, "4.jpg");
  EXPECT_EQ(DecodeImage(row.pictures[0].bytes)->height, 90);
  ASSERT_THAT(row.responses, SizeIs(2));
  EXPECT_EQ(row.responses[0], (Response{"The first answer 4.", true, 1, 0}));
  EXPECT_EQ(row.responses[1].is_safe, false);
  EXPECT_EQ(row.responses[1].harmless_rate, -3);
  EXPECT_EQ(row.more_helpful, 1);
  EXPECT_EQ(row.safer, 1);
}

TEST(RowReader, TakesOneSplitByTheNamesOfFiles) {
  ReadOptions options;
  options.split = Split::kTrain;
  EXPECT_THAT(ReadGood(Fixture("beavertails_v"), options).rows, SizeIs(12));
  options.split = Split::kEvaluation;
  EXPECT_THAT(ReadGood(Fixture("beavertails_v"), options).rows, SizeIs(6));
  const Outcome none = ReadAll(Fixture("spa_vl"), options);
  EXPECT_EQ(none.status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(none.status.message()),
              AllOf(HasSubstr("evaluation split"), HasSubstr("train-00000-of-00001.parquet")));
}

TEST(RowReader, TakesIdsAsTextAndPlainBytesWithoutOptionalColumns) {
  const Outcome outcome = ReadGood(Fixture("beavertails_v_plain.parquet"));
  ASSERT_THAT(outcome.rows, SizeIs(2));
  EXPECT_EQ(outcome.rows[1].more_helpful, 2);
  EXPECT_TRUE(DecodeImage(outcome.rows[1].pictures[0].bytes).ok());
  EXPECT_FALSE(outcome.rows[1].responses[0].helpful_rate.has_value());
  EXPECT_EQ(outcome.rows[1].severity, "");
}

TEST(RowReader, DropsNamesAndSurvivesWhatIsBroken) {
  const Outcome outcome = ReadGood(Fixture("beavertails_v_broken.parquet"));
  EXPECT_EQ(outcome.report.rows, 21);
  EXPECT_EQ(outcome.report.kept, 7);
  EXPECT_THAT(
      outcome.report.dropped,
      ElementsAre(Pair("equal responses", 1), Pair("file of a picture not found", 1),
                  Pair("harmless rate outside -3..3", 1), Pair("helpful rate outside 0..3", 1),
                  Pair("image without bytes or path", 1), Pair("is_response_safe is neither yes nor no", 1),
                  Pair("more_helpful_response_id outside {1, 2}", 1), Pair("no question", 2),
                  Pair("path of a picture leads out of its folder", 1),
                  Pair("picture is neither PNG, JPEG nor WebP, or its header is broken", 1),
                  Pair("picture over the size limits", 1), Pair("response_2 without response_1", 1),
                  Pair("safer_response_id outside {1, 2}", 1)));
  EXPECT_THAT(outcome.report.noted,
              ElementsAre(Pair("label taken from the rate", 1), Pair("rating contradicts the label", 2)));
}

TEST(RowReader, DecodesPicturesWhereAsked) {
  ReadOptions options;
  options.picture_check = PictureCheck::kDecode;
  const Outcome decoded = ReadGood(Fixture("beavertails_v_broken.parquet"), options);
  EXPECT_THAT(decoded.report.dropped, Contains(Pair("picture cannot be decoded", 1)));
  options.picture_check = PictureCheck::kNone;
  EXPECT_EQ(ReadGood(Fixture("beavertails_v_broken.parquet"), options).report.kept, 9);
}

TEST(RowReader, SettlesRatingsThatContradictTheirLabels) {
  const auto contradicting = [](Contradiction contradiction) {
    ReadOptions options;
    options.contradiction = contradiction;
    Outcome outcome = ReadGood(Fixture("beavertails_v_broken.parquet"), options);
    EXPECT_EQ(outcome.report.noted["rating contradicts the label"], 2);
    return outcome;
  };
  const auto response = [](const Outcome& outcome, absl::string_view text) {
    for (const Row& row : outcome.rows) {
      for (const Response& response : row.responses) {
        if (response.text == text) return response;
      }
    }
    return Response{};
  };
  // 116: rate 2 with "no"; 117: the second answer's rate -2 with "yes".
  const std::string second = "The second answer 117, which is longer.";
  const Outcome kept = contradicting(Contradiction::kKeep);
  EXPECT_EQ(response(kept, "The first answer 116.").is_safe, false);
  EXPECT_EQ(response(kept, "The first answer 116.").harmless_rate, 2);
  const Outcome by_rating = contradicting(Contradiction::kTrustRating);
  EXPECT_EQ(response(by_rating, "The first answer 116.").is_safe, true);
  EXPECT_EQ(response(by_rating, second).is_safe, false);
  const Outcome by_label = contradicting(Contradiction::kTrustLabel);
  EXPECT_EQ(response(by_label, "The first answer 116.").harmless_rate, -1);
  EXPECT_EQ(response(by_label, second).harmless_rate, 0);
  const Outcome dropped = contradicting(Contradiction::kDrop);
  EXPECT_EQ(dropped.report.kept, 5);
  EXPECT_THAT(dropped.report.dropped, Contains(Pair("rating contradicts the label", 2)));
}

TEST(RowReader, RefusesRenamedColumnsUntilTheyAreMapped) {
  const std::filesystem::path file = Fixture("beavertails_v_renamed.parquet");
  const Outcome refused = ReadAll(file);
  EXPECT_EQ(refused.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status.message()),
              AllOf(HasSubstr("lacks the column question, safer_response_id"), HasSubstr("beavertails-v"),
                    HasSubstr("its columns are: prompt, image"), HasSubstr("llava (conversations)")));
  ReadOptions options;
  options.columns = {{"question", "prompt"}, {"safer_response_id", "safer"}, {"image_severity", "severity"}};
  const Outcome mapped = ReadGood(file, options);
  ASSERT_THAT(mapped.rows, SizeIs(2));
  EXPECT_EQ(mapped.rows[0].question, "Question 60 about the picture?");
  EXPECT_EQ(mapped.rows[1].severity, "minor");
}

TEST(RowReader, ReadsBeaverTailsFromLinesAndFromParquetAlike) {
  const Outcome lines = ReadGood(Fixture("beavertails"));
  const Outcome parquet = ReadGood(Fixture("beavertails.parquet"));
  ASSERT_THAT(lines.rows, SizeIs(6));
  EXPECT_EQ(lines.rows, parquet.rows);
  EXPECT_EQ(lines.rows[0].category, "");
  EXPECT_EQ(lines.rows[0].responses, std::vector<Response>({{"Response 0", true, {}, {}}}));
  EXPECT_EQ(lines.rows[3].category, "animal_abuse");
  EXPECT_EQ(lines.rows[3].responses[0].is_safe, false);
  EXPECT_THAT(lines.report.noted, Contains(Pair("several categories: the first one is kept", 2)));
}

TEST(RowReader, GivesRatesToLabelsWhereAsked) {
  ReadOptions options;
  options.safe_rate = 2;
  options.unsafe_rate = -3;
  const Outcome outcome = ReadGood(Fixture("beavertails"), options);
  EXPECT_EQ(outcome.rows[0].responses[0].harmless_rate, 2);
  EXPECT_EQ(outcome.rows[1].responses[0].harmless_rate, -3);
  EXPECT_THAT(outcome.report.noted, Contains(Pair("rate taken from the label", 6)));
  options.unsafe_rate = 0;
  EXPECT_THAT(std::string(ReadAll(Fixture("beavertails"), options).status.message()),
              HasSubstr("rate of unsafe answers 0 is outside -3 .. -1"));
}

TEST(RowReader, ReadsSafeRlhf) {
  const Outcome outcome = ReadGood(Fixture("safe_rlhf"));
  ASSERT_THAT(outcome.rows, SizeIs(4));
  EXPECT_THAT(outcome.report.dropped, ElementsAre(Pair("safer_response_id outside {0, 1}", 1)));
  const Row& row = outcome.rows[1];
  EXPECT_THAT(row.pictures, IsEmpty());
  EXPECT_EQ(row.more_helpful, 2);
  EXPECT_EQ(row.safer, 2);
  EXPECT_EQ(row.category, "Violence");
  EXPECT_EQ(row.responses[0], (Response{"Response 1 a", false, -2, {}}));
  EXPECT_EQ(row.responses[1], (Response{"Response 1 b", true, {}, {}}));
}

TEST(RowReader, ReadsSpaVlWhoseChosenAnswerIsBothBetterAndSafer) {
  const Outcome plain = ReadGood(Fixture("spa_vl"));
  ASSERT_THAT(plain.rows, SizeIs(3));
  EXPECT_EQ(plain.rows[2].responses[0], (Response{"Chosen 2", {}, {}, {}}));
  EXPECT_EQ(plain.rows[2].more_helpful, 1);
  EXPECT_EQ(plain.rows[2].safer, 1);
  EXPECT_EQ(plain.rows[2].category, "Toxicity Harms");
  EXPECT_THAT(plain.rows[2].pictures, SizeIs(1));
  ReadOptions options;
  options.safe_rate = 1;
  options.unsafe_rate = -1;
  const Outcome rated = ReadGood(Fixture("spa_vl"), options);
  EXPECT_EQ(rated.rows[0].responses[0], (Response{"Chosen 0", true, 1, {}}));
  EXPECT_EQ(rated.rows[0].responses[1], (Response{"Rejected 0", false, -1, {}}));
}

TEST(RowReader, ReadsTheQuestionsOfSpaVlsTest) {
  ReadOptions options;
  options.split = Split::kEvaluation;
  const Outcome outcome = ReadGood(Fixture("spa_vl_test"), options);
  ASSERT_THAT(outcome.rows, SizeIs(4));
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("rows", 2)));
  EXPECT_EQ(outcome.rows[0].question, "Question of harm 0?");
  EXPECT_EQ(outcome.rows[0].category, "Toxicity Harms");
  EXPECT_THAT(outcome.rows[0].pictures, SizeIs(1));
  EXPECT_THAT(outcome.rows[0].responses, IsEmpty());
  EXPECT_EQ(outcome.rows[3].question, "Question of help 1?");
}

TEST(RowReader, ReadsMmSafetyBenchWithItsKindsOfPictures) {
  const Outcome outcome = ReadGood(Fixture("mm_safety_bench"));
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("mm-safety-bench", 2)));
  EXPECT_EQ(outcome.report.rows, 9);
  EXPECT_THAT(outcome.report.dropped, ElementsAre(Pair("file of a picture not found", 1)));
  ASSERT_THAT(outcome.rows, SizeIs(8));
  EXPECT_EQ(outcome.rows[0].question, "Rephrased for SD 0?");
  EXPECT_EQ(outcome.rows[0].category, "Illegal_Activitiy");
  EXPECT_EQ(outcome.rows[0].pictures[0].path, "01-Illegal_Activitiy/SD/0.jpg");
  EXPECT_TRUE(DecodeImage(outcome.rows[0].pictures[0].bytes).ok());
  EXPECT_EQ(outcome.rows[1].question, "Rephrased 0?");
  EXPECT_EQ(outcome.rows[1].pictures[0].path, "01-Illegal_Activitiy/SD_TYPO/0.jpg");
  EXPECT_EQ(outcome.rows[2].pictures[0].path, "01-Illegal_Activitiy/TYPO/0.jpg");
  EXPECT_EQ(outcome.rows[7].category, "Gov_Decision");
  EXPECT_NE(outcome.rows[5].pictures[0].bytes, outcome.rows[6].pictures[0].bytes);
}

TEST(RowReader, FindsThePicturesOfMmSafetyBenchWhereverTheyAre) {
  const TestFolder folder;
  const std::string question =
      "{\"0\": {\"Question\": \"q\", \"Rephrased Question\": \"r\", \"Rephrased Question(SD)\": \"s\"}}";
  const std::string picture = *ReadFile(Fixture("mm_safety_bench/imgs/13-Gov_Decision/SD/0.jpg"));
  const std::filesystem::path file = folder.Write("data/processed_questions/06-Fraud.json", question);
  folder.Write("elsewhere/06-Fraud/TYPO/0.jpg", picture);
  ReadOptions options;
  options.images = folder.path() / "elsewhere";
  const Outcome elsewhere = ReadGood(file, options);
  ASSERT_THAT(elsewhere.rows, SizeIs(1));
  EXPECT_EQ(elsewhere.rows[0].question, "r");
  EXPECT_THAT(elsewhere.report.dropped, ElementsAre(Pair("file of a picture not found", 2)));
  folder.Write("data/MM-SafetyBench(imgs)/06-Fraud/SD/0.jpg", picture);
  const Outcome unpacked = ReadGood(file);
  ASSERT_THAT(unpacked.rows, SizeIs(1));
  EXPECT_EQ(unpacked.rows[0].question, "s");
}

TEST(RowReader, DropsWhatIsBrokenInMmSafetyBench) {
  const TestFolder folder;
  folder.Write("imgs/01-X/SD/0.jpg", "no picture");
  const std::filesystem::path file = folder.Write("processed_questions/01-X.json",
                                                  "{\"0\": {\"Question\": \"q\", \"Rephrased Question\": 5, "
                                                  "\"Rephrased Question(SD)\": \"s\"}, \"1\": 7, \"2\": {}}");
  const Outcome outcome = ReadGood(file);
  EXPECT_THAT(outcome.rows, IsEmpty());
  EXPECT_THAT(outcome.report.dropped,
              ElementsAre(Pair("file of a picture not found", 5), Pair("not a JSON object", 1),
                          Pair("picture is neither PNG, JPEG nor WebP, or its header is broken", 1)));
  const Outcome cut = ReadAll(folder.Write("processed_questions/02-Y.json", "{\"0\": {\"Question\": \"q\""));
  EXPECT_EQ(cut.status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(cut.status.message()), HasSubstr("is cut off"));
}

TEST(RowReader, ReadsVlGuardWithBothInstructionsOfASafePicture) {
  const Outcome outcome = ReadGood(Fixture("vlguard"));
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("vlguard", 2)));
  EXPECT_THAT(outcome.report.dropped, ElementsAre(Pair("no question", 1)));
  ASSERT_THAT(outcome.rows, SizeIs(4));  // test comes before train
  EXPECT_EQ(outcome.rows[0].question, "What is it?");
  EXPECT_EQ(outcome.rows[0].category, "benign");
  EXPECT_EQ(outcome.rows[0].responses, std::vector<Response>({{"A gradient.", {}, {}, {}}}));
  EXPECT_EQ(outcome.rows[0].pictures[0].path, "memes/b.png");
  EXPECT_EQ(outcome.rows[1].question, "How to abuse it?");
  EXPECT_EQ(outcome.rows[1].category, "unsafe_instruction");
  EXPECT_EQ(outcome.rows[2].question, "Is it true?");
  EXPECT_EQ(outcome.rows[2].category, "deception");
  EXPECT_EQ(outcome.rows[3].question, "Unsafe picture?");
  EXPECT_TRUE(DecodeImage(outcome.rows[3].pictures[0].bytes).ok());
  ReadOptions options;
  options.split = Split::kTrain;
  EXPECT_THAT(ReadGood(Fixture("vlguard"), options).rows, SizeIs(1));
}

TEST(RowReader, DropsWhatIsBrokenInVlGuard) {
  const TestFolder folder;
  const std::filesystem::path file = folder.Write(
      "test.json",
      "[{\"image\": \"a.png\", \"safe\": false, \"instr-resp\": [{\"instruction\": \"no picture?\"}]},"
      "{\"image\": \"../b.png\", \"safe\": false, \"instr-resp\": [{\"instruction\": \"outside?\"}]},"
      "{\"image\": null, \"safe\": 3, \"harmful_category\": 7, \"instr-resp\": [{\"instruction\": \"q\"}]},"
      "{\"image\": null, \"safe\": true, \"instr-resp\": [{\"safe_instruction\": 5}, \"text\", {}]},"
      "{\"image\": null, \"safe\": true, \"instr-resp\": {\"safe_instruction\": \"q\"}},"
      "{\"image\": null, \"safe\": true, \"instr-resp\": [{\"instruction\": \"q\", \"response\": []}]}, 4]");
  const Outcome outcome = ReadGood(file);
  EXPECT_EQ(outcome.report.rows, 9);
  EXPECT_THAT(
      outcome.report.dropped,
      ElementsAre(Pair("answer is not text", 1), Pair("file of a picture not found", 1),
                  Pair("no question", 3), Pair("not a JSON object", 1),
                  Pair("path of a picture leads out of its folder", 1), Pair("question is not text", 1)));
  ASSERT_THAT(outcome.rows, SizeIs(1));  // what is said of a harm in another type says nothing
  EXPECT_EQ(outcome.rows[0].category, "");
  const Outcome renamed =
      ReadAll(folder.Write("renamed.json", "[{\"img\": \"a.png\", \"safe\": true, \"instr-resp\": []}]"));
  EXPECT_THAT(std::string(renamed.status.message()),
              AllOf(HasSubstr("lacks the column image of the nearest format vlguard"),
                    HasSubstr("its columns are: img, instr-resp, safe")));
}

TEST(RowReader, ReadsVlsBenchFromItsListAndFromTheHubAlike) {
  const Outcome list = ReadGood(Fixture("vlsbench")), hub = ReadGood(Fixture("vlsbench.parquet"));
  EXPECT_THAT(list.report.formats, ElementsAre(Pair("vlsbench", 1)));
  EXPECT_THAT(list.report.dropped, ElementsAre(Pair("file of a picture not found", 1)));
  ASSERT_THAT(list.rows, SizeIs(2));
  EXPECT_EQ(list.rows[1].question, "Question 1?");
  EXPECT_EQ(list.rows[1].category, "Privacy");
  EXPECT_THAT(list.rows[1].responses, IsEmpty());
  EXPECT_EQ(list.rows[1].pictures[0].path, "imgs/1.png");
  EXPECT_THAT(hub.report.formats, ElementsAre(Pair("vlsbench", 1)));
  ASSERT_THAT(hub.rows, SizeIs(1));
  EXPECT_EQ(hub.rows[0], list.rows[0]);
}

TEST(RowReader, DropsWhatIsBrokenInVlsBench) {
  const TestFolder folder;
  const Outcome outcome = ReadGood(folder.Write(
      "data.json",
      "[{\"instruction_id\": 0, \"instruction\": null, \"image_path\": null, \"category\": \"c\"},"
      "{\"instruction_id\": 1, \"instruction\": [], \"image_path\": null, \"category\": \"c\"},"
      "{\"instruction_id\": 2, \"instruction\": \"q\", \"image_path\": 5, \"category\": \"c\"},"
      "{\"instruction_id\": 3, \"instruction\": \"q\", \"image_path\": \"imgs/0.png\", \"image\": {}}]"));
  EXPECT_THAT(outcome.rows, IsEmpty());
  EXPECT_THAT(outcome.report.dropped,
              ElementsAre(Pair("image is neither bytes, a path nor a struct of these", 1),
                          Pair("image without bytes or path", 1), Pair("no question", 1),
                          Pair("question is not text", 1)));
  const Outcome renamed = ReadAll(
      folder.Write("renamed.json",
                   "[{\"instruction_id\": 0, \"text\": \"q\", \"image_path\": \"a\", \"category\": \"c\"}]"));
  EXPECT_THAT(std::string(renamed.status.message()),
              AllOf(HasSubstr("lacks the column instruction of the nearest format vlsbench"),
                    HasSubstr("its columns are: category, image_path, instruction_id, text")));
}

TEST(RowReader, ReadsThePhotographsOfTheHubsLayout) {
  ReadOptions options;
  options.picture_check = PictureCheck::kDecode;
  const Outcome outcome = ReadGood(Fixture("beavertails_v_hub"), options);
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("beavertails-v", 4)));
  EXPECT_THAT(outcome.report.dropped, IsEmpty());
  ASSERT_THAT(outcome.rows, SizeIs(20));
  std::set<std::pair<int, int>> sizes;
  for (const Row& row : outcome.rows) {
    const RgbImage image = *DecodeImage(row.pictures.at(0).bytes);
    sizes.emplace(image.width, image.height);
  }
  // The second one lies on its side: EXIF turns 320 x 213.
  EXPECT_THAT(sizes, ElementsAre(Pair(60, 90), Pair(96, 64), Pair(150, 150), Pair(200, 280), Pair(213, 320),
                                 Pair(320, 240), Pair(448, 126), Pair(640, 480)));
}

TEST(RowReader, ReadsConversationsWithNoneOneOrSeveralPictures) {
  const Outcome outcome = ReadGood(Fixture("llava"));
  ASSERT_THAT(outcome.rows, SizeIs(4));
  EXPECT_EQ(outcome.rows[0].question, "What is \"shown\"? [{");
  EXPECT_EQ(outcome.rows[0].responses[0].text, "A gradient.");
  EXPECT_EQ(outcome.rows[0].category, "benign");
  EXPECT_EQ(outcome.rows[1].question, "Describe it.");
  EXPECT_EQ(outcome.rows[1].responses[0].text, "A gradient \xc3\xa9.");
  EXPECT_THAT(outcome.rows[2].pictures, IsEmpty());
  EXPECT_THAT(outcome.rows[3].pictures, SizeIs(2));
  EXPECT_THAT(outcome.report.noted, ElementsAre(Pair("later exchanges left out", 1)));
  EXPECT_THAT(outcome.report.dropped,
              ElementsAre(Pair("file of a picture not found", 1), Pair("more <image> marks than pictures", 1),
                          Pair("no exchange of a human and a gpt turn", 1)));
}

TEST(RowReader, MakesEveryExchangeARowWhereAsked) {
  ReadOptions options;
  options.every_exchange = true;
  const Outcome outcome = ReadGood(Fixture("llava"), options);
  ASSERT_THAT(outcome.rows, SizeIs(5));
  EXPECT_EQ(outcome.rows[1].question, "And more?");
  EXPECT_THAT(outcome.rows[1].pictures, SizeIs(1));
}

TEST(RowReader, FindsPicturesInTheFolderThatIsNamed) {
  ReadOptions options;
  options.images = Fixture("llava") / "images" / "coco";
  EXPECT_THAT(ReadGood(Fixture("llava"), options).report.dropped,
              Contains(Pair("file of a picture not found", 5)));
}

TEST(RowReader, ReadsRowsOfOurOwn) {
  const Outcome outcome = ReadGood(Fixture("rows"));
  ASSERT_THAT(outcome.rows, SizeIs(4));
  EXPECT_THAT(outcome.rows[0].responses, IsEmpty());
  EXPECT_EQ(outcome.rows[1].responses[0].text, "A gradient.");
  EXPECT_THAT(outcome.rows[1].pictures, SizeIs(1));
  EXPECT_THAT(outcome.rows[2].pictures, SizeIs(2));
  EXPECT_EQ(outcome.rows[2].safer, 1);
  EXPECT_THAT(outcome.report.dropped,
              ElementsAre(Pair("both an answer and responses", 1), Pair("not JSON", 1),
                          Pair("not a JSON object", 1), Pair("question is not text", 1)));
}

TEST(RowReader, TakesPairsForRowsOfOurOwnWhereTheirPicturesAreAList) {
  const TestFolder folder;
  const std::string pair =
      R"("response_1": "x", "response_2": "y", "more_helpful_response_id": 2, "safer_response_id": 1,
         "is_response_1_safe": true, "is_response_2_safe": false, "category": "benign"})";
  std::string line = absl::StrCat(R"({"question": "q", "images": [], )", pair);
  std::erase(line, '\n');
  folder.Write("list.jsonl", line);
  const Outcome outcome = ReadGood(folder.path() / "list.jsonl");
  EXPECT_THAT(outcome.report.formats, ElementsAre(Pair("rows", 1)));
  EXPECT_EQ(outcome.rows.at(0).more_helpful, 2);
  line.replace(line.find("images"), 6, "image");
  folder.Write("one.jsonl", line);
  EXPECT_THAT(std::string(ReadAll(folder.path() / "one.jsonl").status.message()),
              HasSubstr("of the nearest format beavertails-v"));
}

TEST(RowReader, DropsDuplicatesWhereAsked) {
  ReadOptions options;
  options.drop_duplicates = true;
  const Outcome outcome = ReadGood(Fixture("rows"), options);
  EXPECT_EQ(outcome.report.kept, 3);
  EXPECT_THAT(outcome.report.dropped, Contains(Pair("duplicate", 1)));
}

TEST(RowReader, NotesEmptyFoldersAndFilesAndGoesOn) {
  const TestFolder folder;
  std::filesystem::copy(Fixture("beavertails_v"), folder.path(), std::filesystem::copy_options::recursive);
  std::filesystem::create_directories(folder.path() / "data" / "violence_and_physical_harm");
  const Outcome outcome = ReadGood(folder.path());
  EXPECT_EQ(outcome.report.kept, 18);
  EXPECT_THAT(outcome.report.noted, ElementsAre(Pair("empty folder data/violence_and_physical_harm", 1)));
  folder.Write("lines/a.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}\n");
  folder.Write("lines/b.jsonl", "\n \n");
  EXPECT_THAT(ReadGood(folder.path() / "lines").report.noted, ElementsAre(Pair("no rows in b.jsonl", 1)));
}

TEST(RowReader, ExplicitFormatsAreHeldTo) {
  EXPECT_THAT(ReadGood(Fixture("beavertails_v"), With(Format::kRows)).rows, SizeIs(18));
  const Outcome outcome = ReadAll(Fixture("beavertails_v"), With(Format::kSpaVl));
  EXPECT_THAT(std::string(outcome.status.message()),
              HasSubstr("lacks the column chosen, rejected of the format spa-vl"));
}

TEST(RowReader, RefusesFilesThatAreNoData) {
  const TestFolder folder;
  const auto refusal = [&folder](const std::string& name, const std::string& text) {
    const Outcome outcome = ReadAll(folder.Write(name, text));
    EXPECT_EQ(outcome.status.code(), absl::StatusCode::kInvalidArgument) << outcome.status;
    EXPECT_THAT(std::string(outcome.status.message()), HasSubstr(name));
    return std::string(outcome.status.message());
  };
  EXPECT_THAT(refusal("a.jsonl", ""), HasSubstr("is empty"));
  EXPECT_THAT(refusal("b.jsonl", "   \n"), HasSubstr("holds no rows"));
  EXPECT_THAT(refusal("c.json", "[]"), HasSubstr("holds no rows"));
  EXPECT_THAT(refusal("d.json", "\x1f\x8b\x08"), HasSubstr("is compressed; unpack it first"));
  EXPECT_THAT(refusal("e.csv", "question,answer\n"), HasSubstr("is neither parquet, a JSON list nor lines"));
  EXPECT_THAT(refusal("f.json", "[{\"question\": \"q\"}, {\"question\": \"r\""), HasSubstr("is cut off"));
  EXPECT_THAT(refusal("g.json", "[{\"conversation\": []}]"),
              AllOf(HasSubstr("its columns are: conversation."), HasSubstr("llava (conversations)")));
  EXPECT_THAT(refusal("h.parquet", "PAR1 and no more"), HasSubstr("is truncated"));
  EXPECT_EQ(ReadAll(folder.path() / "absent").status.code(), absl::StatusCode::kNotFound);
  const TestFolder empty;
  EXPECT_THAT(std::string(ReadAll(empty.path()).status.message()),
              HasSubstr("no *.parquet, *.jsonl or *.json"));
}

TEST(RowReader, ABrokenFileAfterAGoodOneIsNamed) {
  const TestFolder folder;
  folder.Write("a.jsonl", "{\"question\": \"q\", \"answer\": \"a\"}\n");
  folder.Write("b.jsonl", "{\"other\": 1}\n");
  const Outcome outcome = ReadAll(folder.path());
  EXPECT_THAT(outcome.rows, SizeIs(1));
  EXPECT_THAT(std::string(outcome.status.message()), HasSubstr("b.jsonl: lacks the column"));
}

TEST(RowReader, FlippedBytesGiveErrorsOrRowsAndNeverCrash) {
  const TestFolder folder;
  int errors = 0;
  for (const char* name : {"beavertails_v_plain.parquet", "beavertails.parquet", "llava/instructions.json",
                           "safe_rlhf/train.jsonl", "row_groups.parquet",
                           "mm_safety_bench/processed_questions/01-Illegal_Activitiy.json",
                           "vlguard/test.json", "vlsbench/data.json", "vlsbench.parquet"}) {
    const std::string whole = *ReadFile(Fixture(name));
    const std::string extension = std::filesystem::path(name).extension().string();
    for (size_t at = 0; at < whole.size(); at += whole.size() / 100 + 1) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x5A);
      errors += ReadAll(folder.Write("flipped" + extension, bytes)).status.ok() ? 0 : 1;
    }
  }
  EXPECT_GT(errors, 0);
}

TEST(RowReader, OptionsAreParsedByNameAndRefusedWithTheNames) {
  EXPECT_EQ(*ParseFormat("safe-rlhf"), Format::kSafeRlhf);
  EXPECT_THAT(std::string(ParseFormat("beaver").status().message()), HasSubstr("spa-vl"));
  EXPECT_EQ(*ParseSplit("evaluation"), Split::kEvaluation);
  EXPECT_EQ(*ParseContradiction("trust_label"), Contradiction::kTrustLabel);
  EXPECT_EQ(*ParsePictureCheck("decode"), PictureCheck::kDecode);
  EXPECT_THAT(*ParseColumnNames("question=prompt,image=picture"),
              ElementsAre(Pair("image", "picture"), Pair("question", "prompt")));
  EXPECT_FALSE(ParseColumnNames("question").ok());
  EXPECT_FALSE(ParseColumnNames("a=b,a=c").ok());
}

}  // namespace
}  // namespace rein::data
