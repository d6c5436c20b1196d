#include "models/qwen2_vl/processor.h"

#include <string>
#include <vector>

#include "models/processor_case.h"
#include "models/qwen2_vl/chat_template.h"

namespace rein::models {
namespace {

using absl::StatusCode;

constexpr char kFolder[] = "qwen2_vl/processor";

std::unique_ptr<Processor> LoadFixture() { return LoadGood(Fixture(kFolder)); }

std::vector<ProcessedImage> Processed(const Processor& processor, int64_t count) {
  return ProcessedPictures(processor, kFolder, count);
}

TEST(Qwen2VlProcessor, GivesThePromptsOfTransformers) {
  const auto processor = LoadFixture();
  const Json cases = Json::parse(*ReadFile(Fixture(kFolder) / "cases.json"));
  ASSERT_EQ(cases.size(), 3u);
  for (const Json& test : cases) {
    const auto pictures = Processed(*processor, test.at("pictures").get<int64_t>());
    for (size_t i = 0; i < pictures.size(); ++i) {
      for (size_t j = 0; j < 3; ++j) EXPECT_EQ(pictures[i].grid[j], test.at("grids")[i][j].get<int64_t>());
    }
    ExpectIdsOf(test, *processor, pictures);
  }
}

TEST(Qwen2VlProcessor, GivesThePatchesOfTransformers) {
  const auto pictures = Processed(*LoadFixture(), 2);
  const at::Tensor ours = Numbers(pictures);
  EXPECT_LT(MaxDifference(ours, ReadAsMap(Fixture(kFolder) / "pictures.safetensors").at("pixels")), 1e-5);
}

TEST(Qwen2VlProcessor, TakesTheFamilysTemplateWhereThereIsNone) {
  const TestFolder folder;
  const auto model = folder.CopyOf(kFolder);
  EXPECT_EQ(*ReadFile(model / "chat_template.jinja"), kQwen2VlChatTemplate);
  std::filesystem::remove(model / "chat_template.jinja");
  const auto pictures = Processed(*LoadFixture(), 1);
  EXPECT_EQ(*LoadGood(model)->EncodePrompt("Hi", pictures), *LoadFixture()->EncodePrompt("Hi", pictures));
}

TEST(Qwen2VlProcessor, DecodesTheAnswersThatItEncodes) {
  const auto processor = LoadFixture();
  for (const std::string answer : {"A red circle.", "", " spaced ", "日本 🙂", "two\nlines"}) {
    const std::vector<int32_t> tokens = processor->EncodeResponse(answer);
    EXPECT_EQ(tokens.back(), 422);  // <|im_end|>
    EXPECT_EQ(processor->Decode(tokens), answer);
  }
}

TEST(Qwen2VlProcessor, SamplesNeitherPicturesNorVideos) {
  const auto processor = LoadFixture();
  EXPECT_EQ(processor->end_tokens(), (std::vector<int32_t>{422, 420}));
  const at::Tensor allowed = processor->AllowedTokens(448);
  for (int64_t id : {425, 426, 427}) EXPECT_FALSE(allowed[id].item<bool>()) << id;  // the last: unknown
  // <|endoftext|> pads and ends: it may be sampled.
  for (int64_t id : {10, 420, 422}) EXPECT_TRUE(allowed[id].item<bool>()) << id;
}

TEST(Qwen2VlProcessor, RefusesAQuestionWithAPlaceholder) {
  const auto processor = LoadFixture();
  ExpectError(processor->EncodePrompt("<|image_pad|>", {}).status(), StatusCode::kInvalidArgument,
              {"<|image_pad|>"});
}

TEST(Qwen2VlProcessor, RefusesPicturesThatTheTowerDoesNotTake) {
  const auto refuse = [](const std::string& key, const Json& value,
                         std::initializer_list<std::string> texts) {
    const TestFolder folder;
    const auto model = folder.CopyOf(kFolder);
    Json settings = Json::parse(*ReadFile(model / "processor_config.json"));
    settings["image_processor"][key] = value;
    Write(model / "processor_config.json", settings.dump());
    ExpectError(Processor::Load(model).status(), StatusCode::kInvalidArgument, texts);
  };
  refuse("patch_size", 14, {"processor_config.json", "patch_size is 14", "takes 4"});
  refuse("merge_size", 1, {"merge_size is 1", "takes 2"});
  refuse("temporal_patch_size", 1, {"temporal_patch_size is 1", "takes 2"});
}

TEST(Qwen2VlProcessor, NamesTheFileThatIsMissingOrBroken) {
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
  refuse("config.json", R"({"model_type": "qwen2_vl", "vision_config": 1})", StatusCode::kInvalidArgument,
         {"config.json", "vision_config"});
  refuse("generation_config.json", R"({"eos_token_id": 5000})", StatusCode::kInvalidArgument,
         {"eos_token_id", "5000"});
  refuse("chat_template.jinja", "{{ messages[0]['role'] }}", StatusCode::kInvalidArgument,
         {"chat_template.jinja", "texts only"});
}

}  // namespace
}  // namespace rein::models
