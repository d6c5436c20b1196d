#include "models/qwen2_vl/model.h"

#include <ATen/core/grad_mode.h>

#include <string>
#include <vector>

#include "models/family_case.h"
#include "models/qwen2_vl/positions.h"

namespace rein::models {
namespace {

using absl::StatusCode;

class Qwen2VlPositions : public testing::TestWithParam<std::string> {};

TEST_P(Qwen2VlPositions, AreThoseOfTransformers) {
  const FamilyCase reference("qwen2_vl/" + GetParam());
  std::vector<TokenSpan> spans;
  for (int64_t length : reference.Values("lengths")) spans.push_back({.length = length});
  std::vector<PatchGrid> grids;
  int64_t patches = 0, features = 0;
  for (const ProcessedImage& picture : reference.AllPictures()) {
    grids.push_back({.times = picture.grid[0], .rows = picture.grid[1], .columns = picture.grid[2]});
    patches += grids.back().patches();
    features += picture.feature_count;
  }
  const int64_t merge = patches == features ? 1 : 2;
  EXPECT_TRUE(at::equal(MropePositions(reference.input.token_ids, 5, spans, grids, merge),
                        reference.expected.at("positions")));
}

INSTANTIATE_TEST_SUITE_P(Qwen2VlModel, Qwen2VlPositions,
                         testing::Values("nested", "flat", "tied", "head_dim_16", "many_pictures",
                                         "real_patches", "merge_one_and_acts", "sharded", "bfloat16",
                                         "float16_reward"),
                         [](const auto& info) { return info.param; });

TEST(Qwen2VlModel, KnowsItsParts) {
  const FamilyCase reference("qwen2_vl/nested");
  const VisionLanguageModel& model = *reference.model;
  EXPECT_EQ(model.shape().family, "qwen2_vl");
  EXPECT_EQ(model.PartOf("visual.patch_embed.proj.weight"), "vision");
  EXPECT_EQ(model.PartOf("visual.merger.mlp.0.weight"), "projector");
  EXPECT_EQ(model.PartOf("model.layers.0.mlp.up_proj.weight"), "language");
  EXPECT_EQ(model.PartOf("score_head.weight"), "score_head");
}

TEST(Qwen2VlModel, CountsPositionsThatPicturesSave) {
  const FamilyCase reference("qwen2_vl/nested");
  const auto offset = [&](std::vector<ProcessedImage> pictures) {
    return reference.model->PositionOffset(pictures);
  };
  EXPECT_EQ(offset({}), 0);
  EXPECT_EQ(offset({{.feature_count = 1, .grid = {1, 2, 2}}}), 0);
  EXPECT_EQ(offset({{.feature_count = 6, .grid = {1, 4, 6}}}), -3);
  EXPECT_EQ(offset({{.feature_count = 6, .grid = {1, 4, 6}}, {.feature_count = 5, .grid = {1, 10, 2}}}), -3);
}

TEST(Qwen2VlModel, RefusesPicturesThatDoNotFit) {
  const FamilyCase reference("qwen2_vl/nested");
  const auto refused = [&](const ProcessedImage& picture) { return RefusalOf(*reference.model, {picture}); };
  const ProcessedImage good = reference.pictures[0][0];
  EXPECT_EQ(refused(good), "taken");
  ProcessedImage bad = good;
  bad.grid[0] = 2;
  EXPECT_THAT(refused(bad), testing::HasSubstr("2 x 4 x 6 patches"));
  bad = good;
  bad.grid[1] = 3;
  EXPECT_THAT(refused(bad), testing::HasSubstr("multiples of 2"));
  bad = good;
  bad.grid[2] = 8;
  EXPECT_THAT(refused(bad), testing::HasSubstr("[32, 96] is needed"));
  bad = good;
  bad.pixels = good.pixels.slice(1, 1);
  EXPECT_THAT(refused(bad), testing::HasSubstr("[24, 96] is needed"));
}

TEST(Qwen2VlModel, RefusesInputsThatDoNotFit) {
  const at::NoGradGuard no_grad;
  const FamilyCase reference("qwen2_vl/nested");
  const PackedInput input = reference.WithImages();
  PackedInput bad = input;
  std::swap(bad.images[0], bad.images[1]);
  ExpectError(reference.model->Forward(bad).status(), StatusCode::kInvalidArgument, {"placeholders"});
  bad = input;
  bad.images[0].grid[1] = 2;  // disagrees with its features
  EXPECT_FALSE(reference.model->Forward(bad).ok());
  KvCache cache = reference.model->MakeCache(4, 4);
  CachedInput cached{.token_ids = at::full({2}, 20, at::kLong),
                     .sequences = {{.block_table = {0, 1}, .past_tokens = 3, .new_tokens = 2}}};
  ASSERT_TRUE(reference.model->ForwardCached(cached, cache).ok());
  for (int64_t offset : {1, -4}) {
    cached.sequences[0].position_offset = offset;
    ExpectError(reference.model->ForwardCached(cached, cache).status(), StatusCode::kInvalidArgument,
                {"position_offset is ", "from -3 to 0"});
  }
}

TEST(Qwen2VlModel, TakesEverySpellingOfNamesAndNoStrangers) {
  const TestFolder folder;
  const auto model = folder.CopyOf("qwen2_vl/nested");
  NamedTensors tensors = *ReadSafetensors(model / "model.safetensors");
  ASSERT_EQ(tensors[0].first, "lm_head.weight");
  const auto rewrite = [&](const std::string& name) {
    tensors[0].first = name;
    ASSERT_TRUE(WriteSafetensors(model / "model.safetensors", tensors, {}).ok());
  };
  for (const char* name : {"model.lm_head.weight", "language_model.lm_head.weight"}) {
    rewrite(name);
    EXPECT_TRUE(LoadModel(model).ok()) << name;
  }
  rewrite("lm_head.wait");
  ExpectError(LoadModel(model).status(), StatusCode::kInvalidArgument, {"missing", "lm_head.weight"});
  tensors.emplace_back("visual.patch_embed.proj.bias", at::zeros({16}));
  rewrite("lm_head.weight");
  ExpectError(LoadModel(model).status(), StatusCode::kInvalidArgument, {"visual.patch_embed.proj.bias"});
}

}  // namespace
}  // namespace rein::models
