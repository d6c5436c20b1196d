#include "models/llava_next/processor.h"

#include <string>
#include <vector>

#include "absl/strings/str_replace.h"
#include "models/image/test_pictures.h"
#include "models/llava_next/chat_template.h"
#include "models/processor_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

constexpr char kFolder[] = "llava_next/processor";

std::unique_ptr<Processor> LoadFixture() { return LoadGood(Fixture(kFolder)); }

std::vector<ProcessedImage> Processed(const Processor& processor, int64_t count) {
  return ProcessedPictures(processor, kFolder, count);
}

// A copy of the folder with the template of the family's `kind`: vicuna or mistral.
std::filesystem::path WithTemplate(const TestFolder& folder, const std::string& kind) {
  const auto model = folder.CopyOf(kFolder);
  Write(model / "chat_template.jinja",
        *ReadFile(Fixture("templates") / "texts" / absl::StrCat("llava_next_", kind, ".jinja")));
  return model;
}

TEST(LlavaNextProcessor, GivesThePromptsOfTransformers) {
  const Json cases = Json::parse(*ReadFile(Fixture(kFolder) / "cases.json"));
  ASSERT_EQ(cases.size(), 6u);
  for (const Json& test : cases) {
    const TestFolder folder;
    const auto processor = LoadGood(WithTemplate(folder, test.at("template").get<std::string>()));
    const auto pictures = Processed(*processor, test.at("pictures").get<int64_t>());
    for (size_t i = 0; i < pictures.size(); ++i) {
      for (size_t j = 0; j < 3; ++j) EXPECT_EQ(pictures[i].grid[j], test.at("grids")[i][j].get<int64_t>());
    }
    ExpectIdsOf(test, *processor, pictures);
  }
}

TEST(LlavaNextProcessor, GivesTheTilesOfTransformers) {
  const auto pictures = Processed(*LoadFixture(), 2);
  const auto expected = ReadAsMap(Fixture(kFolder) / "pictures.safetensors");
  EXPECT_LT(MaxDifference(Numbers({pictures[0]}), expected.at("pixels.0")), 1e-5);
  EXPECT_LT(MaxDifference(Numbers({pictures[1]}), expected.at("pixels.1")), 1e-5);
  EXPECT_NE(pictures[0].pixels.size(0), pictures[1].pixels.size(0));
}

// The sizes of image_processors_test.cc, at the settings of the released folders.
TEST(LlavaNextProcessor, CountsFeaturesAsTransformers) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kFolder);
  Json config = Json::parse(*ReadFile(model / "config.json"));
  config.erase("image_grid_pinpoints");
  config["vision_config"]["image_size"] = 336;
  config["vision_config"]["patch_size"] = 14;
  Write(model / "config.json", config.dump());
  Json settings = Json::parse(*ReadFile(model / "processor_config.json"));
  settings["image_processor"].erase("image_grid_pinpoints");
  settings["image_processor"]["size"] = {{"shortest_edge", 336}};
  settings["image_processor"]["crop_size"] = {{"height", 336}, {"width", 336}};
  Write(model / "processor_config.json", settings.dump());
  const auto processor = LoadGood(model);
  const struct {
    int height, width;
    int64_t features;
  } examples[] = {{480, 640, 2340}, {640, 480, 2352},  {336, 336, 1176},   {899, 1024, 2634},
                  {200, 800, 1890}, {1000, 300, 2232}, {2000, 3000, 2144}, {100, 100, 1176}};
  for (const auto& example : examples) {
    const auto image = processor->ProcessImage(MakePicture(example.width, example.height));
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(image->feature_count, example.features) << example.height << " x " << example.width;
  }
}

TEST(LlavaNextProcessor, TakesVicunasTemplateWhereThereIsNone) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kFolder);
  EXPECT_EQ(*ReadFile(model / "chat_template.jinja"),
            absl::StrReplaceAll(kLlavaNextChatTemplate, {{"\\n", "\n"}}));
  std::filesystem::remove(model / "chat_template.jinja");
  const auto pictures = Processed(*LoadFixture(), 1);
  EXPECT_EQ(*LoadGood(model)->EncodePrompt("Hi", pictures), *LoadFixture()->EncodePrompt("Hi", pictures));
}

TEST(LlavaNextProcessor, DecodesTheAnswersThatItEncodes) {
  const auto processor = LoadFixture();
  for (const std::string answer : {"A red circle.", "", "日本 🙂", "two\nlines"}) {
    const std::vector<int32_t> tokens = processor->EncodeResponse(answer);
    EXPECT_EQ(tokens.back(), processor->end_tokens().front());
    EXPECT_EQ(processor->Decode(tokens), answer);
  }
}

TEST(LlavaNextProcessor, SamplesNeitherPicturesNorPadding) {
  const at::Tensor allowed = LoadFixture()->AllowedTokens(448);
  for (int64_t id : {0, 3, 420}) EXPECT_FALSE(allowed[id].item<bool>()) << id;  // the last: unknown
  for (int64_t id : {2, 4, 419}) EXPECT_TRUE(allowed[id].item<bool>()) << id;
}

TEST(LlavaNextProcessor, RefusesAQuestionWithAPlaceholder) {
  ExpectError(LoadFixture()->EncodePrompt("<image>", {}).status(), StatusCode::kInvalidArgument, {"<image>"});
}

TEST(LlavaNextProcessor, RefusesTilesThatTheModelDoesNotTake) {
  const auto refuse = [](const std::string& key, const Json& value, StatusCode code,
                         std::initializer_list<std::string> texts) {
    const TestFolder folder;
    const auto model = folder.CopyOf(kFolder);
    Json settings = Json::parse(*ReadFile(model / "processor_config.json"));
    settings["image_processor"][key] = value;
    Write(model / "processor_config.json", settings.dump());
    ExpectError(Processor::Load(model).status(), code, texts);
  };
  refuse("crop_size", 8, StatusCode::kInvalidArgument, {"tiles are 8 pixels wide", "takes 16"});
  refuse("image_grid_pinpoints", Json::parse("[[16, 32]]"), StatusCode::kInvalidArgument,
         {"image_grid_pinpoints", "config.json"});
  refuse("image_grid_pinpoints", Json::parse("[[16, 30]]"), StatusCode::kUnimplemented,
         {"16 x 30", "multiples"});
  refuse("image_processor_type", "CLIPImageProcessor", StatusCode::kUnimplemented, {"CLIPImageProcessor"});
}

TEST(LlavaNextProcessor, NamesTheFileThatIsMissingOrBroken) {
  const auto refuse = [](const std::string& file, const char* contents, StatusCode code,
                         std::initializer_list<std::string> texts) {
    const TestFolder folder;
    const auto model = folder.CopyOf(kFolder);
    std::filesystem::remove(model / file);
    if (contents != nullptr) Write(model / file, contents);
    ExpectError(Processor::Load(model).status(), code, texts);
  };
  refuse("tokenizer.json", nullptr, StatusCode::kNotFound, {"tokenizer.json"});
  refuse("processor_config.json", nullptr, StatusCode::kNotFound, {"preprocessor_config.json"});
  refuse("config.json", R"({"model_type": "llava_next", "vision_config": 1})", StatusCode::kInvalidArgument,
         {"config.json", "vision_config"});
  refuse("generation_config.json", R"({"eos_token_id": 5000})", StatusCode::kInvalidArgument,
         {"eos_token_id", "5000"});
}

}  // namespace
}  // namespace rein::models
