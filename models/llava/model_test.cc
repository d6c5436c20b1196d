#include "models/llava/model.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "models/family_case.h"

namespace rein::models {
namespace {

using absl::StatusCode;

TEST(LlavaModel, AddsAScoreHeadThatIsSavedAndRepeatable) {
  const TestFolder folder;
  FamilyCase reference("llava/plain");
  EXPECT_FALSE(reference.model->shape().has_score_head);
  reference.model->AddScoreHead(7);
  const at::Tensor first = reference.model->tensors().back().second.clone();
  EXPECT_EQ(first.sizes(), (at::IntArrayRef{1, 32}));
  EXPECT_EQ(reference.model->PartOf("score_head.weight"), "score_head");
  reference.model->AddScoreHead(8);
  EXPECT_FALSE(at::equal(reference.model->tensors().back().second, first));
  reference.model->AddScoreHead(7);
  EXPECT_TRUE(at::equal(reference.model->tensors().back().second, first));
  ASSERT_TRUE(SaveModel(*reference.model, folder / "saved").ok());
  const auto loaded = LoadModel(folder / "saved");
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE((*loaded)->shape().has_score_head);
  EXPECT_TRUE(at::equal((*loaded)->tensors().back().second, first));
}

TEST(LlavaModel, CachesSeveralSequencesAtOnce) {
  const at::NoGradGuard no_grad;
  FamilyCase reference("llava/grouped_queries");
  const PackedInput packed = reference.WithImages();
  const auto whole = reference.model->Forward(packed);
  KvCache cache = reference.model->MakeCache(24, 4);
  CachedInput all{.token_ids = packed.token_ids, .images = packed.images};
  int32_t block = 23;
  for (size_t i = 1; i < packed.cu_seqlens.size(); ++i) {
    CachedInput::Sequence sequence{.new_tokens = packed.cu_seqlens[i] - packed.cu_seqlens[i - 1]};
    for (int64_t covered = 0; covered < sequence.new_tokens; covered += 4)
      sequence.block_table.push_back(block--);
    all.sequences.push_back(sequence);
  }
  const auto hidden = reference.model->ForwardCached(all, cache);
  ASSERT_TRUE(hidden.ok()) << hidden.status();
  EXPECT_LT(MaxDifference(*hidden, *whole), 1e-4);
}

TEST(LlavaModel, FreezesPartsByNameAndRefusesUnknownOnes) {
  FamilyCase reference("llava/plain");
  const auto trainable = TrainableParameters(*reference.model, {"vision", "projector"});
  ASSERT_TRUE(trainable.ok());
  for (const auto& [name, tensor] : *trainable) EXPECT_TRUE(name.starts_with("language_model.")) << name;
  for (const auto& [name, tensor] : reference.model->tensors()) {
    EXPECT_EQ(tensor.requires_grad(), reference.model->PartOf(name) == "language") << name;
  }
  torch::autograd::backward({NextTokenLoss(reference.Logits(), reference.input)}, {});
  for (const auto& [name, tensor] : reference.model->tensors()) {
    EXPECT_EQ(tensor.grad().defined(), reference.model->PartOf(name) == "language") << name;
  }
  ExpectError(TrainableParameters(*reference.model, {"vison"}).status(), StatusCode::kInvalidArgument,
              {"vison", "language, projector, vision"});
  ExpectError(TrainableParameters(*reference.model, {"score_head"}).status(), StatusCode::kInvalidArgument,
              {"score_head"});
}

TEST(LlavaModel, ComputesWithTheStorageOfItsTensors) {
  const at::NoGradGuard no_grad;
  FamilyCase reference("llava/sharded_biases_old_theta");
  const at::Tensor before = reference.Logits();
  for (const char* name :
       {"q_proj.weight", "k_proj.weight", "v_proj.bias", "gate_proj.weight", "up_proj.bias",
        "vision_tower.vision_model.encoder.layers.0.self_attn.v_proj.weight"}) {
    for (const auto& [tensor_name, tensor] : reference.model->tensors()) {
      if (tensor_name.find(name) == std::string::npos) continue;
      const at::Tensor saved = tensor.clone();
      tensor.add_(0.5);
      EXPECT_GT(MaxDifference(reference.Logits(), before), 1e-3) << tensor_name;
      tensor.copy_(saved);
      break;
    }
  }
  EXPECT_EQ(MaxDifference(reference.Logits(), before), 0.0);
}

TEST(LlavaModel, RefusesInputsThatDoNotFit) {
  const at::NoGradGuard no_grad;
  FamilyCase reference("llava/plain");
  PackedInput input = reference.WithImages();
  const auto refuse = [&](const PackedInput& bad, std::initializer_list<std::string> texts) {
    ExpectError(reference.model->Forward(bad).status(), StatusCode::kInvalidArgument, texts);
  };
  PackedInput bad = input;
  bad.images.pop_back();
  refuse(bad, {"12 image placeholders", "8 features"});
  bad = input;
  bad.images[0].features = bad.images[0].features.slice(0, 1);
  refuse(bad, {"placeholders"});
  bad = input;
  bad.token_ids = input.token_ids.clone();
  bad.token_ids[0] = 96;
  refuse(bad, {"token 0 is 96", "vocabulary of 96"});
  bad.token_ids[0] = -1;
  refuse(bad, {"token 0 is -1"});
  bad = input;
  bad.cu_seqlens.back() -= 1;
  refuse(bad, {"cu_seqlens"});
  bad.cu_seqlens = {0, 5, 5, input.cu_seqlens.back()};
  refuse(bad, {"sequence 1"});
  bad.token_ids = at::full({129}, 7, at::kLong);
  bad.cu_seqlens = {0, 129};
  bad.images.clear();
  refuse(bad, {"129 tokens", "128", "max_position_embeddings"});
}

TEST(LlavaModel, RefusesCachePlansThatDoNotFit) {
  FamilyCase reference("llava/plain");
  KvCache cache = reference.model->MakeCache(4, 4);
  const CachedInput good{.token_ids = at::full({5}, 7, at::kLong),
                         .sequences = {{.block_table = {0, 3}, .past_tokens = 2, .new_tokens = 5}}};
  ASSERT_TRUE(reference.model->ForwardCached(good, cache).ok());
  const auto refuse = [&](const CachedInput& bad, std::initializer_list<std::string> texts) {
    ExpectError(reference.model->ForwardCached(bad, cache).status(), StatusCode::kInvalidArgument, texts);
  };
  CachedInput bad = good;
  bad.sequences[0].block_table = {0};
  refuse(bad, {"sequence 0", "1 blocks of 4", "7"});
  bad.sequences[0].block_table = {0, 4};
  refuse(bad, {"block 4"});
  bad.sequences[0].block_table = {0, -1};
  refuse(bad, {"block -1"});
  bad = good;
  bad.sequences[0].past_tokens = -1;
  refuse(bad, {"-1 past"});
  bad = good;
  bad.token_ids = bad.token_ids.slice(0, 1);
  refuse(bad, {"int64 [5]"});
  bad = good;
  bad.sequences[0].past_tokens = 124;
  refuse(bad, {"129", "max_position_embeddings"});
  KvCache other({.layers = 1, .blocks = 4, .block_tokens = 4, .kv_heads = 4, .head_dim = 8}, at::kFloat,
                at::kCPU);
  ExpectError(reference.model->ForwardCached(good, other).status(), StatusCode::kInvalidArgument,
              {"1 layers"});
}

TEST(MakeRandomModel, IsRepeatableAndDrawnAsToldByTheConfiguration) {
  const TestFolder folder;
  std::filesystem::copy(Fixture("llava/plain") / "config.json", folder / "config.json");
  const auto one = MakeRandomModel(folder.path(), 1), again = MakeRandomModel(folder.path(), 1);
  const auto other = MakeRandomModel(folder.path(), 2);
  ASSERT_TRUE(one.ok()) << one.status();
  const NamedTensors& tensors = (*one)->tensors();
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    EXPECT_TRUE(at::equal(tensor, (*again)->tensors()[i].second)) << name;
    if (name.ends_with("norm.weight")) {
      EXPECT_TRUE(at::equal(tensor, at::ones_like(tensor))) << name;
    } else if (name.ends_with(".bias")) {
      EXPECT_EQ(tensor.abs().max().item<double>(), 0.0) << name;
    } else if (tensor.numel() >= 500) {
      EXPECT_FALSE(at::equal(tensor, (*other)->tensors()[i].second)) << name;
      EXPECT_NEAR(tensor.std().item<double>(), 0.02, 0.002) << name;
      EXPECT_NEAR(tensor.mean().item<double>(), 0.0, 0.002) << name;
    }
  }
}

}  // namespace
}  // namespace rein::models
