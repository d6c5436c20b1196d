#include "models/idefics3/processor.h"

#include <algorithm>
#include <string>
#include <vector>

#include "models/processor_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

constexpr char kTiled[] = "idefics3/processor";
constexpr char kUnsplit[] = "idefics3/processor_unsplit";

class Idefics3Prompts : public testing::TestWithParam<std::string> {};

TEST_P(Idefics3Prompts, AreThoseOfTransformers) {
  const auto processor = LoadGood(Fixture(GetParam()));
  const Json cases = Json::parse(*ReadFile(Fixture(GetParam()) / "cases.json"));
  ASSERT_EQ(cases.size(), 3u);
  for (const Json& test : cases) {
    const auto pictures = ProcessedPictures(*processor, GetParam(), test.at("pictures").get<int64_t>());
    ExpectIdsOf(test, *processor, pictures);
    EXPECT_EQ(processor->EncodeResponse("A red circle."), test.at("answer").get<std::vector<int32_t>>());
  }
}

TEST_P(Idefics3Prompts, HaveTheirFirstTokenOnce) {
  const auto processor = LoadGood(Fixture(GetParam()));
  for (const Json& test : Json::parse(*ReadFile(Fixture(GetParam()) / "cases.json"))) {
    // Without the template the tokenizer puts it there, or does not.
    const auto bare = processor->EncodeRaw(test.at("question").get<std::string>(), {});
    ASSERT_TRUE(bare.ok()) << bare.status();
    EXPECT_EQ(*bare, test.at("bare").get<std::vector<int32_t>>());
    const auto ids = test.at("ids").get<std::vector<int32_t>>();
    EXPECT_EQ(std::count(ids.begin(), ids.end(), 420), 1);
  }
}

TEST_P(Idefics3Prompts, HaveThePicturesOfTransformers) {
  const auto pictures = ProcessedPictures(*LoadGood(Fixture(GetParam())), GetParam(), 2);
  const at::Tensor ours = Numbers(pictures);
  const auto expected = ReadAsMap(Fixture(GetParam()) / "pictures.safetensors");
  EXPECT_LT(MaxDifference(ours, expected.at("pixels")), 1e-5);
}

TEST_P(Idefics3Prompts, AreTheSameWithTheFamilysTemplate) {
  const TestFolder folder;
  const auto model = folder.CopyOf(GetParam());
  std::filesystem::remove(model / "chat_template.jinja");
  std::filesystem::remove(model / "chat_template.json");
  const auto with = LoadGood(Fixture(GetParam())), without = LoadGood(model);
  for (int64_t count : {0, 2}) {
    const auto pictures = ProcessedPictures(*with, GetParam(), count);
    EXPECT_EQ(*without->EncodePrompt("Hi", pictures), *with->EncodePrompt("Hi", pictures));
  }
}

INSTANTIATE_TEST_SUITE_P(Folders, Idefics3Prompts, testing::Values(kTiled, kUnsplit),
                         [](const auto& info) { return info.param == kTiled ? "tiled" : "unsplit"; });

TEST(Idefics3Processor, CutsPicturesIntoTiles) {
  const auto tiled = ProcessedPictures(*LoadGood(Fixture(kTiled)), kTiled, 2);
  EXPECT_EQ(tiled[0].pixels.sizes(), (std::vector<int64_t>{7, 3, 16, 16}));  // 31 x 20 becomes 48 x 32
  EXPECT_EQ(tiled[0].grid[0], 2);
  EXPECT_EQ(tiled[0].grid[1], 3);
  EXPECT_EQ(tiled[0].feature_count, 28);
  EXPECT_EQ(tiled[1].grid[0], 3);
  EXPECT_EQ(tiled[1].grid[1], 1);
  const auto unsplit = ProcessedPictures(*LoadGood(Fixture(kUnsplit)), kUnsplit, 2);
  EXPECT_EQ(unsplit[1].pixels.sizes(), (std::vector<int64_t>{1, 3, 24, 24}));
  EXPECT_EQ(unsplit[1].grid[0], 0);
  EXPECT_EQ(unsplit[1].feature_count, 9);
}

TEST(Idefics3Processor, ReadsSmolVlmFolders) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kUnsplit);
  Json config = Json::parse(*ReadFile(model / "config.json"));
  config["model_type"] = "smolvlm";
  Write(model / "config.json", config.dump());
  Json settings = Json::parse(*ReadFile(model / "preprocessor_config.json"));
  settings["image_processor_type"] = "SmolVLMImageProcessor";
  Write(model / "preprocessor_config.json", settings.dump());
  const auto smolvlm = LoadGood(model), idefics3 = LoadGood(Fixture(kUnsplit));
  const auto pictures = ProcessedPictures(*smolvlm, kUnsplit, 2);
  EXPECT_EQ(*smolvlm->EncodePrompt("Hi", pictures), *idefics3->EncodePrompt("Hi", pictures));
}

TEST(Idefics3Processor, DecodesTheAnswersThatItEncodes) {
  const auto processor = LoadGood(Fixture(kTiled));
  for (const std::string answer : {"A red circle.", "", " spaced ", "日本 🙂", "two\nlines"}) {
    const std::vector<int32_t> tokens = processor->EncodeResponse(answer);
    EXPECT_EQ(tokens.back(), 421);  // <end_of_utterance>
    EXPECT_EQ(processor->Decode(tokens), answer);
  }
}

TEST(Idefics3Processor, SamplesNoMarksOfPictures) {
  const auto tiled = LoadGood(Fixture(kTiled));
  EXPECT_EQ(tiled->end_tokens(), (std::vector<int32_t>{421}));
  const at::Tensor some = tiled->AllowedTokens(440);
  // <pad>, <image>, <fake_token_around_image>, <row_1_col_1> to <row_2_col_2>, none
  for (int64_t id : {0, 3, 422, 423, 426, 427}) EXPECT_FALSE(some[id].item<bool>()) << id;
  // What "<global-img>" is written with here, and the end
  for (int64_t id : {31, 82, 90, 202, 421}) EXPECT_TRUE(some[id].item<bool>()) << id;
  const at::Tensor all = LoadGood(Fixture(kUnsplit))->AllowedTokens(470);
  for (int64_t id : {3, 422, 423, 424, 459, 460}) EXPECT_FALSE(all[id].item<bool>()) << id;
}

TEST(Idefics3Processor, RefusesAQuestionWithAPlaceholder) {
  ExpectError(LoadGood(Fixture(kTiled))->EncodePrompt("<image>", {}).status(), StatusCode::kInvalidArgument,
              {"<image>"});
}

// `key` of a file, which may be "object.key", set to `value`.
void Refuse(const std::string& file, const std::string& pointer, const Json& value, StatusCode code,
            std::initializer_list<std::string> texts) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kTiled);
  Json json = Json::parse(*ReadFile(model / file));
  json[Json::json_pointer(pointer)] = value;
  Write(model / file, json.dump());
  ExpectError(Processor::Load(model).status(), code, texts);
}

TEST(Idefics3Processor, RefusesFramesThatTheModelDoesNotTake) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  const std::string file = "processor_config.json";
  Refuse(file, "/image_seq_len", 64, invalid, {"image_seq_len is 64", "makes 4 features"});
  Refuse(file, "/image_seq_len", nullptr, invalid, {"image_seq_len is 169"});
  Refuse(file, "/image_seq_len", "four", invalid, {"processor_config.json", "image_seq_len is \"four\""});
  Refuse(file, "/image_processor/max_image_size", Json{{"longest_edge", 32}}, invalid,
         {"processor_config.json", "frames of 32 pixels", "have 8 patches", "config.json 4"});
  Refuse(file, "/image_processor/image_processor_type", "Idefics2ImageProcessor", StatusCode::kUnimplemented,
         {"Idefics2ImageProcessor"});
  Refuse("config.json", "/scale_factor", 4, invalid, {"image_seq_len is 4", "makes 1 features"});
}

TEST(Idefics3Processor, NamesTheFileThatIsMissingOrBroken) {
  const StatusCode invalid = StatusCode::kInvalidArgument;
  Refuse("config.json", "/vision_config", 1, invalid, {"config.json", "vision_config"});
  Refuse("config.json", "/image_token_id", 430, invalid, {"image_token_id", "430", "no added token"});
  Refuse("generation_config.json", "/eos_token_id", 5000, invalid, {"eos_token_id", "5000"});
  for (const char* file : {"tokenizer.json", "processor_config.json"}) {
    const TestFolder folder;
    const auto model = folder.CopyOf(kTiled);
    std::filesystem::remove(model / file);
    ExpectError(Processor::Load(model).status(), StatusCode::kNotFound, {file});
  }
}

TEST(Idefics3Processor, NeedsTheMarkAroundPictures) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kTiled);
  Json tokenizer = Json::parse(*ReadFile(model / "tokenizer.json"));
  for (Json& token : tokenizer["added_tokens"]) {
    if (token["id"] == 422) token["content"] = "<other>";
  }
  Write(model / "tokenizer.json", tokenizer.dump());
  ExpectError(Processor::Load(model).status(), StatusCode::kInvalidArgument,
              {"tokenizer.json", "<fake_token_around_image>"});
}

}  // namespace
}  // namespace rein::models
