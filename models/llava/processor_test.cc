#include "models/llava/processor.h"

#include <string>
#include <vector>

#include "models/processor_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

data::RgbImage Picture() {
  const at::Tensor picture = ReadAsMap(Fixture("llava/processor") / "picture.safetensors").at("picture");
  data::RgbImage image{static_cast<int>(picture.size(1)), static_cast<int>(picture.size(0)), {}};
  image.pixels.assign(picture.data_ptr<uint8_t>(), picture.data_ptr<uint8_t>() + picture.numel());
  return image;
}

std::unique_ptr<Processor> LoadFixture() { return LoadGood(Fixture("llava/processor")); }

TEST(LlavaProcessor, GivesThePromptsOfTransformers) {
  const auto processor = LoadFixture();
  const auto picture = processor->ProcessImage(Picture());
  ASSERT_TRUE(picture.ok()) << picture.status();
  EXPECT_EQ(picture->pixels.sizes(), (at::IntArrayRef{1, 3, 16, 16}));
  EXPECT_EQ(picture->feature_count, 4);
  const Json cases = Json::parse(*ReadFile(Fixture("llava/processor") / "cases.json"));
  ASSERT_EQ(cases.size(), 3u);
  for (const Json& test : cases) {
    const std::vector<ProcessedImage> pictures(test.at("pictures").get<size_t>(), *picture);
    ExpectIdsOf(test, *processor, pictures);
  }
}

TEST(LlavaProcessor, DecodesTheAnswersThatItEncodes) {
  const auto processor = LoadFixture();
  for (const std::string answer : {"A red circle.", "", "日本 🙂", "two\nlines"}) {
    const std::vector<int32_t> tokens = processor->EncodeResponse(answer);
    EXPECT_EQ(tokens.back(), processor->end_tokens().front());
    EXPECT_EQ(processor->Decode(tokens), answer);
  }
}

TEST(LlavaProcessor, NeverAsksForAPictureFromAnAnswer) {
  const auto processor = LoadFixture();
  const int32_t placeholder =
      (*processor->EncodeRaw("<image>", std::vector<ProcessedImage>(1, {.feature_count = 1})))[1];
  EXPECT_THAT(processor->EncodeResponse("an <image> of a cat"), testing::Not(testing::Contains(placeholder)));
}

TEST(LlavaProcessor, RefusesPlaceholdersThatDoNotMatchThePictures) {
  const auto processor = LoadFixture();
  const std::vector<ProcessedImage> one(1, {.feature_count = 4});
  ExpectError(processor->EncodePrompt("what is <image>?", one).status(), StatusCode::kInvalidArgument,
              {"<image>"});
  ExpectError(processor->EncodeRaw("no picture", one).status(), StatusCode::kInvalidArgument,
              {"0 times", "1 pictures"});
  ExpectError(processor->EncodeRaw("<image><image>", one).status(), StatusCode::kInvalidArgument,
              {"2 times"});
}

TEST(LlavaProcessor, AllowsOnlyTokensThatMakeSense) {
  const auto processor = LoadFixture();
  const at::Tensor allowed = processor->AllowedTokens(448);
  ASSERT_EQ(allowed.scalar_type(), at::kBool);
  ASSERT_EQ(allowed.numel(), 448);
  EXPECT_FALSE(allowed[0].item<bool>());  // <pad>
  EXPECT_TRUE(allowed[2].item<bool>());   // </s>
  EXPECT_FALSE(allowed[3].item<bool>());  // <image>
  EXPECT_TRUE(allowed[4].item<bool>());
  EXPECT_TRUE(allowed[419].item<bool>());
  EXPECT_FALSE(allowed[420].item<bool>());  // past the tokenizer
  EXPECT_EQ(processor->AllowedTokens(10).numel(), 10);
}

TEST(LlavaProcessor, ReadsEndTokensWhereverTheyAre) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/processor");
  Write(model / "generation_config.json", R"({"eos_token_id": 7})");
  EXPECT_EQ(LoadGood(model)->end_tokens(), std::vector<int32_t>{7});
  Write(model / "generation_config.json", R"({"eos_token_id": [2, 9]})");
  EXPECT_EQ(LoadGood(model)->end_tokens(), (std::vector<int32_t>{2, 9}));
  std::filesystem::remove(model / "generation_config.json");
  EXPECT_EQ(LoadGood(model)->end_tokens(), std::vector<int32_t>{2});  // text_config
  Json config = Json::parse(*ReadFile(model / "config.json"));
  config["text_config"].erase("eos_token_id");
  Write(model / "config.json", config.dump());
  EXPECT_EQ(LoadGood(model)->end_tokens(), std::vector<int32_t>{2});  // eos_token of tokenizer_config.json
  std::filesystem::remove(model / "tokenizer_config.json");
  ExpectError(Processor::Load(model).status(), StatusCode::kInvalidArgument, {"eos_token_id"});
}

TEST(LlavaProcessor, ReadsTheOldPreprocessorFile) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/processor");
  const Json nested = Json::parse(*ReadFile(model / "processor_config.json"));
  Write(model / "preprocessor_config.json", nested["image_processor"].dump());
  std::filesystem::remove(model / "processor_config.json");
  const auto pixels = LoadGood(model)->ProcessImage(Picture());
  ASSERT_TRUE(pixels.ok());
  EXPECT_TRUE(at::equal(pixels->pixels, LoadFixture()->ProcessImage(Picture())->pixels));
}

TEST(LlavaProcessor, NamesTheFileThatIsMissingOrBroken) {
  const auto refuse = [](const std::string& file, const char* contents, StatusCode code,
                         std::initializer_list<std::string> texts) {
    const TestFolder folder;
    const auto model = folder.CopyOf("llava/processor");
    std::filesystem::remove(model / file);
    if (contents != nullptr) Write(model / file, contents);
    ExpectError(Processor::Load(model).status(), code, texts);
  };
  refuse("tokenizer.json", nullptr, StatusCode::kNotFound, {"tokenizer.json"});
  refuse("tokenizer.json", "{", StatusCode::kInvalidArgument, {"tokenizer.json"});
  refuse("processor_config.json", nullptr, StatusCode::kNotFound, {"preprocessor_config.json"});
  refuse("processor_config.json", "[1]", StatusCode::kInvalidArgument, {"processor_config.json"});
  refuse("processor_config.json", R"({"image_processor": {"crop_size": 24}})", StatusCode::kInvalidArgument,
         {"24 x 24", "16 x 16"});
  refuse("config.json", nullptr, StatusCode::kNotFound, {"config.json"});
  refuse("config.json", "rubbish", StatusCode::kInvalidArgument, {"config.json"});
  refuse("config.json", R"({"model_type": "mllama"})", StatusCode::kUnimplemented,
         {"mllama", "llava, llava_next, qwen2_vl"});
  refuse("generation_config.json", R"({"eos_token_id": 5000})", StatusCode::kInvalidArgument,
         {"eos_token_id", "5000"});
  refuse("generation_config.json", R"({"eos_token_id": "</s>"})", StatusCode::kInvalidArgument,
         {"eos_token_id"});
  refuse("chat_template.jinja", "{{ messages | md5 }}", StatusCode::kUnimplemented,
         {"chat_template.jinja", "\"md5\""});
}

TEST(LlavaProcessor, RefusesAnImageTokenThatTheTokenizerDoesNotHave) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/processor");
  Json config = Json::parse(*ReadFile(model / "config.json"));
  config["image_token_index"] = 440;
  Write(model / "config.json", config.dump());
  ExpectError(Processor::Load(model).status(), StatusCode::kInvalidArgument, {"image_token_index", "440"});
}

TEST(LlavaProcessor, KnowsTheTemplateOfItsFamily) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava/processor");
  std::filesystem::remove(model / "chat_template.jinja");
  const std::vector<ProcessedImage> one(1, {.feature_count = 4});
  EXPECT_EQ(*LoadGood(model)->EncodePrompt("What?", one), *LoadFixture()->EncodePrompt("What?", one));
}

}  // namespace
}  // namespace rein::models
