#include "models/idefics3/model.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "models/family_case.h"
#include "models/idefics3/vision_tower.h"
#include "models/lora.h"

namespace rein::models {
namespace {

using absl::StatusCode;

TEST(Idefics3Model, KnowsItsParts) {
  const FamilyCase reference("idefics3/plain");
  const VisionLanguageModel& model = *reference.model;
  EXPECT_EQ(model.shape().family, "idefics3");
  EXPECT_EQ(model.shape().image_run_tokens, 4);
  EXPECT_EQ(model.PartOf("model.vision_model.post_layernorm.weight"), "vision");
  EXPECT_EQ(model.PartOf("model.connector.modality_projection.proj.weight"), "projector");
  EXPECT_EQ(model.PartOf("model.text_model.layers.0.mlp.up_proj.weight"), "language");
  EXPECT_EQ(model.PartOf("lm_head.weight"), "language");
  EXPECT_EQ(model.PartOf("score_head.weight"), "score_head");
  EXPECT_EQ(FamilyCase("idefics3/smolvlm").model->shape().family, "smolvlm");
}

TEST(Idefics3Model, NamesAdaptersByTheModulesOfTransformers) {
  const FamilyCase reference("idefics3/plain");
  for (const char* name :
       {"model.text_model.layers.0.mlp.up_proj", "model.connector.modality_projection.proj",
        "model.vision_model.encoder.layers.0.mlp.fc1"})
    EXPECT_EQ(PeftLayerName(*reference.model, name), name);
}

TEST(Idefics3Model, PlacesPatchesAsTransformersDoes) {
  const auto rows = [](int64_t side, int64_t table) {
    return Idefics3PositionRows(side, table).slice(0, 0, side);
  };
  const auto equal = [](const at::Tensor& ours, const std::vector<int64_t>& expected) {
    return at::equal(ours, at::tensor(expected, at::kLong));
  };
  EXPECT_TRUE(equal(rows(4, 4), {0, 1, 2, 3}));
  EXPECT_TRUE(equal(rows(3, 6), {0, 2, 4}));
  EXPECT_TRUE(equal(rows(4, 6), {0, 1, 3, 4}));
  EXPECT_TRUE(equal(rows(1, 1), {0}));
  EXPECT_TRUE(equal(Idefics3PositionRows(2, 4), {0, 2, 8, 10}));
  for (int64_t released : {26, 27, 32})
    EXPECT_TRUE(at::equal(Idefics3PositionRows(released, released), at::arange(released * released)));
}

TEST(Idefics3Model, PassesGradientsToThePicturesParts) {
  const FamilyCase reference("idefics3/plain");
  const auto trainable = TrainableParameters(*reference.model, {"language"});
  ASSERT_TRUE(trainable.ok()) << trainable.status();
  const at::Tensor features = reference.model->EncodeImages(reference.pictures[0])[0].features;
  torch::autograd::backward({features.square().sum()}, {});
  for (const auto& [name, tensor] : *trainable) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    // Keys' biases shift all scores of a patch by the same.
    if (name.ends_with("k_proj.bias")) continue;
    EXPECT_GT(tensor.grad().abs().max().item<double>(), 0) << name;
  }
}

TEST(Idefics3Model, GivesEveryPictureItsFrames) {
  const at::NoGradGuard no_grad;
  const FamilyCase reference("idefics3/many_pictures");
  const std::vector<ProcessedImage> pictures = reference.AllPictures();
  const auto together = reference.model->EncodeImages(pictures);
  ASSERT_EQ(together.size(), 6u);
  for (size_t i = 0; i < together.size(); ++i) {
    EXPECT_EQ(together[i].features.size(0), pictures[i].feature_count);
    EXPECT_EQ(together[i].grid[0], pictures[i].grid[0]);
    const auto alone = reference.model->EncodeImages({pictures[i]});
    EXPECT_LT(RelativeDifference(together[i].features, alone[0].features), 1e-5);
  }
}

TEST(Idefics3Model, RefusesPicturesThatDoNotFit) {
  const FamilyCase reference("idefics3/plain");
  const auto refused = [&](std::vector<at::Tensor> pixels) {
    std::vector<ProcessedImage> pictures;
    for (at::Tensor& some : pixels) pictures.push_back({.pixels = std::move(some), .feature_count = 4});
    return RefusalOf(*reference.model, pictures);
  };
  EXPECT_EQ(refused({at::ones({1, 3, 16, 16}), at::ones({2, 3, 16, 16})}), "taken");
  EXPECT_EQ(refused({at::ones({1, 3, 9, 9})}), "taken");
  EXPECT_THAT(refused({at::ones({1, 3, 16, 16}), at::ones({1, 3, 8, 8})}),
              testing::HasSubstr("[frames, 3, 16, 16] is needed"));
  EXPECT_THAT(refused({at::ones({1, 3, 12, 16})}), testing::HasSubstr("[1, 3, 12, 16]"));
  EXPECT_THAT(refused({at::ones({1, 1, 16, 16})}), testing::HasSubstr("[1, 1, 16, 16]"));
  EXPECT_THAT(refused({at::ones({3, 16, 16})}), testing::HasSubstr("[3, 16, 16]"));
  EXPECT_THAT(refused({at::ones({1, 3, 12, 12})}), testing::HasSubstr("3 patches along a side"));
  EXPECT_THAT(refused({at::ones({1, 3, 3, 3})}), testing::HasSubstr("0 patches along a side"));
}

TEST(Idefics3Model, RefusesRunsThatAreNoFrames) {
  const at::NoGradGuard no_grad;
  const FamilyCase reference("idefics3/plain");
  PackedInput input = reference.Single(0);
  ASSERT_TRUE(reference.model->Forward(input).ok());
  // One placeholder moves from the end of the first frame behind the mark of the second.
  std::vector<int64_t> ids(input.token_ids.const_data_ptr<int64_t>(),
                           input.token_ids.const_data_ptr<int64_t>() + input.token_ids.numel());
  const auto last = std::find(ids.begin(), ids.end(), 5) + 3;
  std::swap(*last, *(last + 1));
  input.token_ids = at::tensor(ids, at::kLong);
  ExpectError(reference.model->Forward(input).status(), StatusCode::kInvalidArgument,
              {"12 features meets a shorter run"});
}

TEST(Idefics3Model, TakesEverySpellingOfNamesAndNoStrangers) {
  const TestFolder folder;
  const auto model = folder.CopyOf("idefics3/plain");
  NamedTensors tensors = *ReadSafetensors(model / "model.safetensors");
  const auto rename = [&](const std::string& from, const std::string& to) {
    NamedTensors renamed = tensors;
    for (auto& [name, tensor] : renamed) {
      if (name.starts_with(from)) name = to + name.substr(from.size());
    }
    ASSERT_TRUE(WriteSafetensors(model / "model.safetensors", renamed, {}).ok());
  };
  for (const char* prefix : {"", "model.", "model.model."}) {
    rename("model.", prefix);
    EXPECT_TRUE(LoadModel(model).ok()) << prefix;
  }
  rename("lm_head.", "model.lm_head.");
  EXPECT_TRUE(LoadModel(model).ok());
  rename("lm_head.", "head.");
  ExpectError(LoadModel(model).status(), StatusCode::kInvalidArgument, {"missing", "lm_head.weight"});
  tensors.emplace_back("model.text_model.layers.0.self_attn.rotary_emb.inv_freq", at::zeros({4}));
  rename("model.", "model.");
  EXPECT_TRUE(LoadModel(model).ok());
  tensors.emplace_back("model.vision_model.head.probe", at::zeros({16}));
  rename("model.", "model.");
  ExpectError(LoadModel(model).status(), StatusCode::kInvalidArgument, {"model.vision_model.head.probe"});
}

}  // namespace
}  // namespace rein::models
