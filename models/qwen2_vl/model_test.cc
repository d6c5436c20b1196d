#include "models/qwen2_vl/model.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "models/qwen2_vl/positions.h"
#include "models/qwen2_vl/test_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

// Largest difference, as a part of the largest value expected.
double RelativeDifference(const at::Tensor& ours, const at::Tensor& expected) {
  return MaxDifference(ours, expected) / expected.abs().max().item<double>();
}

// Mean negative log-likelihood of every token after the first of its sequence.
at::Tensor NextTokenLoss(const at::Tensor& logits, const PackedInput& input) {
  at::Tensor sum = at::zeros({});
  int64_t count = 0;
  for (size_t i = 1; i < input.cu_seqlens.size(); ++i) {
    const int64_t begin = input.cu_seqlens[i - 1], end = input.cu_seqlens[i];
    const at::Tensor logprobs = at::log_softmax(logits.slice(0, begin, end - 1), -1);
    sum = sum - logprobs.gather(1, input.token_ids.slice(0, begin + 1, end).unsqueeze(1)).sum();
    count += end - begin - 1;
  }
  return sum / static_cast<double>(count);
}

class EveryQwen2Vl : public testing::TestWithParam<std::string> {};

TEST_P(EveryQwen2Vl, GivesTheLogitsOfTransformers) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference(GetParam());
  EXPECT_LT(RelativeDifference(reference.Logits(), reference.expected.at("logits")), 1e-4);
}

TEST_P(EveryQwen2Vl, GivesThemInBfloat16) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference(GetParam(), {.dtype = at::kBFloat16});
  const at::Tensor logits = reference.Logits();
  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  // bfloat16 holds the stored weights as they are, but for those in float16, which it rounds.
  const double tolerance = GetParam() == "float16_reward" ? 3e-2 : 2e-2;
  EXPECT_LT(RelativeDifference(logits, reference.expected.at("logits")), tolerance);
}

TEST_P(EveryQwen2Vl, GivesTheGradientsOfTransformers) {
  const Qwen2VlCase reference(GetParam());
  ASSERT_TRUE(TrainableParameters(*reference.model, {}).ok());
  const at::Tensor loss = NextTokenLoss(reference.Logits(), reference.input);
  EXPECT_NEAR(loss.item<double>(), reference.expected.at("loss").item<double>(), 1e-5);
  torch::autograd::backward({loss}, {});
  const NamedTensors& tensors = reference.model->tensors();
  const std::map<std::string, at::Tensor> by_name(tensors.begin(), tensors.end());
  int compared = 0;
  for (const auto& [name, gradient] : reference.expected) {
    if (!name.starts_with("gradient.")) continue;
    const at::Tensor ours = by_name.at(name.substr(9)).grad();
    ASSERT_TRUE(ours.defined()) << name;
    EXPECT_LT(RelativeDifference(ours, gradient), 1e-3) << name;
    ++compared;
  }
  EXPECT_GE(compared, 20);
}

TEST_P(EveryQwen2Vl, GivesTheSameAloneAndPacked) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference(GetParam());
  std::vector<at::Tensor> alone;
  for (size_t i = 0; i < reference.pictures.size(); ++i)
    alone.push_back(reference.LogitsOf(reference.Single(i)));
  EXPECT_LT(MaxDifference(at::cat(alone), reference.Logits()), 1e-5);
}

TEST_P(EveryQwen2Vl, PlacesTokensAsTransformersDoes) {
  const Qwen2VlCase reference(GetParam());
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

TEST_P(EveryQwen2Vl, GivesTheSameThroughTheCache) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference(GetParam());
  const auto whole = reference.model->Forward(reference.WithImages());
  ASSERT_TRUE(whole.ok());
  for (size_t i = 0; i < reference.pictures.size(); ++i) {
    // Up to the last picture in one go, then one by one: these have only the offset to go by.
    const PackedInput packed = reference.Single(i);
    const int64_t length = packed.cu_seqlens[1];
    KvCache cache = reference.model->MakeCache(32, 4);
    CachedInput step{.images = packed.images};
    step.sequences.push_back({.block_table = {9, 2, 30, 4, 5, 6, 1, 0, 8, 7, 11, 10, 13, 12, 15, 14},
                              .past_tokens = 0,
                              .new_tokens = length - 5});
    std::vector<at::Tensor> parts;
    for (int64_t done = 0; done < length;) {
      const int64_t count = step.sequences[0].new_tokens;
      step.token_ids = packed.token_ids.slice(0, done, done + count);
      const auto hidden = reference.model->ForwardCached(step, cache);
      ASSERT_TRUE(hidden.ok()) << hidden.status();
      parts.push_back(*hidden);
      done += count;
      step.images.clear();
      step.sequences[0].past_tokens = done;
      step.sequences[0].new_tokens = 1;
      step.sequences[0].position_offset = reference.model->PositionOffset(reference.pictures[i]);
    }
    const int64_t begin = reference.input.cu_seqlens[i];
    EXPECT_LT(MaxDifference(at::cat(parts), whole->slice(0, begin, begin + length)), 1e-4);
  }
}

TEST_P(EveryQwen2Vl, IsTheSameAfterSavingAndLoading) {
  const at::NoGradGuard no_grad;
  Qwen2VlCase reference(GetParam());
  const at::Tensor before = reference.Logits();
  for (const int64_t max_shard_bytes : {int64_t{5} << 30, int64_t{20'000}}) {
    const TestFolder folder;
    ASSERT_TRUE(SaveModel(*reference.model, folder / "saved", max_shard_bytes).ok());
    auto loaded = LoadModel(folder / "saved");
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    reference.model = *std::move(loaded);
    EXPECT_EQ(MaxDifference(reference.Logits(), before), 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Qwen2VlModel, EveryQwen2Vl,
                         testing::Values("nested", "flat", "tied", "head_dim_16", "many_pictures",
                                         "real_patches", "merge_one_and_acts", "sharded", "bfloat16",
                                         "float16_reward"),
                         [](const auto& info) { return info.param; });

TEST(Qwen2VlModel, ScoresAsTheHeadSays) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference("float16_reward");
  ASSERT_TRUE(reference.model->shape().has_score_head);
  const at::Tensor scores = reference.model->Scores(*reference.model->Forward(reference.WithImages()));
  EXPECT_LT(MaxDifference(scores, reference.expected.at("scores")), 1e-4);
}

TEST(Qwen2VlModel, SharesOnePictureBetweenSequences) {
  const at::NoGradGuard no_grad;
  const Qwen2VlCase reference("nested");
  const PackedInput once = reference.Single(1);
  const int64_t length = once.cu_seqlens[1];
  PackedInput twice{.token_ids = once.token_ids.repeat({2}), .cu_seqlens = {0, length, 2 * length}};
  for (int i = 0; i < 2; ++i) twice.images.insert(twice.images.end(), once.images.begin(), once.images.end());
  const at::Tensor logits = reference.LogitsOf(twice);
  EXPECT_LT(MaxDifference(logits.slice(0, 0, length), logits.slice(0, length)), 1e-6);
}

TEST(Qwen2VlModel, KnowsItsParts) {
  const Qwen2VlCase reference("nested");
  const VisionLanguageModel& model = *reference.model;
  EXPECT_EQ(model.shape().family, "qwen2_vl");
  EXPECT_EQ(model.PartOf("visual.patch_embed.proj.weight"), "vision");
  EXPECT_EQ(model.PartOf("visual.merger.mlp.0.weight"), "projector");
  EXPECT_EQ(model.PartOf("model.layers.0.mlp.up_proj.weight"), "language");
  EXPECT_EQ(model.PartOf("score_head.weight"), "score_head");
}

TEST(Qwen2VlModel, CountsPositionsThatPicturesSave) {
  const Qwen2VlCase reference("nested");
  const auto offset = [&](std::vector<ProcessedImage> pictures) {
    return reference.model->PositionOffset(pictures);
  };
  EXPECT_EQ(offset({}), 0);
  EXPECT_EQ(offset({{.feature_count = 1, .grid = {1, 2, 2}}}), 0);
  EXPECT_EQ(offset({{.feature_count = 6, .grid = {1, 4, 6}}}), -3);
  EXPECT_EQ(offset({{.feature_count = 6, .grid = {1, 4, 6}}, {.feature_count = 5, .grid = {1, 10, 2}}}), -3);
}

TEST(Qwen2VlModel, RefusesPicturesThatDoNotFit) {
  const Qwen2VlCase reference("nested");
  const auto refused = [&](ProcessedImage picture) {
    try {
      reference.model->EncodeImages({picture});
    } catch (const c10::Error& error) {
      return std::string(error.what_without_backtrace());
    }
    return std::string("taken");
  };
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
  const Qwen2VlCase reference("nested");
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
