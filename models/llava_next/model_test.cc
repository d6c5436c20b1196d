#include "models/llava_next/model.h"

#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "models/family_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

TEST(LlavaNextModel, KnowsItsParts) {
  const FamilyCase reference("llava_next/vicuna");
  const VisionLanguageModel& model = *reference.model;
  EXPECT_EQ(model.shape().family, "llava_next");
  EXPECT_EQ(model.PartOf("image_newline"), "projector");
  EXPECT_EQ(model.PartOf("multi_modal_projector.linear_1.weight"), "projector");
  EXPECT_EQ(model.PartOf("vision_tower.vision_model.embeddings.class_embedding"), "vision");
  EXPECT_EQ(model.PartOf("language_model.model.norm.weight"), "language");
}

TEST(LlavaNextModel, MakesAsManyFeaturesAsTheProcessorCounts) {
  const at::NoGradGuard no_grad;
  for (const char* name :
       {"llava_next/vicuna", "llava_next/many_pictures", "llava_next/one_tile_odd_sides"}) {
    const FamilyCase reference(name);
    const std::vector<ProcessedImage> pictures = reference.AllPictures();
    const std::vector<ImageFeatures> features = reference.model->EncodeImages(pictures);
    ASSERT_EQ(features.size(), pictures.size());
    for (size_t i = 0; i < pictures.size(); ++i) {
      EXPECT_EQ(features[i].features.sizes(), (at::IntArrayRef{pictures[i].feature_count, 16})) << name << i;
      EXPECT_EQ(features[i].grid[0], pictures[i].grid[0]);
      EXPECT_EQ(features[i].grid[1], pictures[i].grid[1]);
    }
  }
}

TEST(LlavaNextModel, EndsEveryRowOfTilesWithTheNewline) {
  const at::NoGradGuard no_grad;
  const FamilyCase reference("llava_next/vicuna");
  const std::vector<ProcessedImage> one = {
      reference.pictures[0][0]};  // 30 x 20: 4 x 2 features without padding
  const at::Tensor features = reference.model->EncodeImages(one)[0].features;
  const at::Tensor newline = reference.model->tensors()[0].second;
  ASSERT_EQ(reference.model->tensors()[0].first, "image_newline");
  ASSERT_EQ(features.size(0), 4 + 4 * (2 + 1));
  for (int64_t i = 0; i < features.size(0); ++i)
    EXPECT_EQ(at::equal(features[i], newline), i >= 4 && (i - 4) % 3 == 2) << i;
}

TEST(LlavaNextModel, RefusesPicturesThatDoNotFit) {
  const FamilyCase reference("llava_next/vicuna");
  const auto refused = [&](const ProcessedImage& picture) { return RefusalOf(*reference.model, {picture}); };
  const ProcessedImage good = reference.pictures[0][0];
  EXPECT_EQ(refused(good), "taken");
  ProcessedImage bad = good;
  bad.grid[0] = 0;
  EXPECT_THAT(refused(bad), testing::HasSubstr("height and width"));
  bad = good;
  bad.grid[1] = 90;
  EXPECT_THAT(refused(bad), testing::HasSubstr("[4, 3, 16, 16] is needed for a picture of 90 x 30"));
  bad = good;
  bad.pixels = good.pixels.slice(0, 1);
  EXPECT_THAT(refused(bad), testing::HasSubstr("[5, 3, 16, 16] is needed"));
  bad.pixels = good.pixels.slice(3, 1);
  EXPECT_THAT(refused(bad), testing::HasSubstr("[5, 3, 16, 16] is needed"));
}

TEST(LlavaNextModel, TakesEverySpellingOfNamesAndNoStrangers) {
  const TestFolder folder;
  const auto model = folder.CopyOf("llava_next/vicuna");
  NamedTensors tensors = *ReadSafetensors(model / "model.safetensors");
  const auto newline = std::find_if(tensors.begin(), tensors.end(),
                                    [](const auto& named) { return named.first == "image_newline"; });
  ASSERT_NE(newline, tensors.end());
  const auto load_with = [&](const std::string& name) {
    newline->first = name;
    EXPECT_TRUE(WriteSafetensors(model / "model.safetensors", tensors, {}).ok());
    return LoadModel(model).status();
  };
  for (const char* name : {"image_newline", "model.image_newline", "model.model.image_newline"})
    EXPECT_TRUE(load_with(name).ok()) << name;
  ExpectError(load_with("image_newlines"), StatusCode::kInvalidArgument, {"missing", "image_newline"});
}

TEST(LlavaNextModel, DrawsTheNewlineAsWideAsTheModelIs) {
  const TestFolder folder;
  Json config = Json::parse(*ReadFile(Fixture("llava_next/vicuna") / "config.json"));
  config["text_config"]["hidden_size"] = 2048;
  Write(folder / "config.json", config.dump());
  const auto model = MakeRandomModel(folder.path(), 3);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_NEAR((*model)->tensors()[0].second.std().item<double>(), 1 / std::sqrt(2048.0), 2e-3);
}

}  // namespace
}  // namespace rein::models
