#include "models/llava/model.h"

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <string>
#include <vector>

#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;

// Reference data of one configuration, see tests/fixtures/models/make_fixtures.py.
struct Case {
  std::unique_ptr<VisionLanguageModel> model;
  std::map<std::string, at::Tensor> expected;
  std::vector<ProcessedImage> pictures;
  PackedInput input;  // without images

  explicit Case(const std::string& name, const LoadOptions& options = {}) {
    auto loaded = LoadModel(Fixture(name), options);
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    model = *std::move(loaded);
    expected = ReadAsMap(Fixture(name) / "expected.safetensors");
    for (const at::Tensor& pixels : expected.at("pixels").split(1)) pictures.push_back({.pixels = pixels});
    input.token_ids = expected.at("token_ids");
    input.cu_seqlens = {0};
    for (int64_t i = 0; i < expected.at("lengths").numel(); ++i) {
      input.cu_seqlens.push_back(input.cu_seqlens.back() + expected.at("lengths")[i].item<int64_t>());
    }
  }

  PackedInput WithImages() {
    PackedInput with = input;
    with.images = model->EncodeImages(pictures);
    return with;
  }

  at::Tensor Logits() {
    const auto hidden = model->Forward(WithImages());
    EXPECT_TRUE(hidden.ok()) << hidden.status();
    return model->Logits(*hidden);
  }
};

// Mean negative log-likelihood of every token after the first of its sequence.
at::Tensor NextTokenLoss(const at::Tensor& logits, const PackedInput& input) {
  at::Tensor sum = at::zeros({});
  int64_t count = 0;
  for (size_t i = 1; i < input.cu_seqlens.size(); ++i) {
    const int64_t begin = input.cu_seqlens[i - 1], end = input.cu_seqlens[i];
    const at::Tensor logprobs = at::log_softmax(logits.slice(0, begin, end - 1), -1);
    const at::Tensor targets = input.token_ids.slice(0, begin + 1, end).unsqueeze(1);
    sum = sum - logprobs.gather(1, targets).sum();
    count += end - begin - 1;
  }
  return sum / static_cast<double>(count);
}

class EveryConfiguration : public testing::TestWithParam<std::string> {};

TEST_P(EveryConfiguration, GivesTheLogitsOfTransformers) {
  const at::NoGradGuard no_grad;
  Case reference(GetParam());
  EXPECT_LT(MaxDifference(reference.Logits(), reference.expected.at("logits")), 1e-4);
}

TEST_P(EveryConfiguration, GivesTheGradientsOfTransformers) {
  Case reference(GetParam());
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
    EXPECT_LT(MaxDifference(ours, gradient), 1e-4) << name;
    ++compared;
  }
  EXPECT_GE(compared, 15);
}

TEST_P(EveryConfiguration, GivesTheSameThroughTheCache) {
  Case reference(GetParam());
  const at::NoGradGuard no_grad;
  const PackedInput packed = reference.WithImages();
  const auto whole = reference.model->Forward(packed);
  ASSERT_TRUE(whole.ok());
  // Three tokens short of the first sequence's end in one go, then one by one; blocks in an unusual order.
  KvCache cache = reference.model->MakeCache(32, 4);
  const int64_t length = packed.cu_seqlens[1];
  CachedInput step;
  step.sequences.push_back(
      {.block_table = {9, 2, 30, 4, 5, 6, 1, 0}, .past_tokens = 0, .new_tokens = length - 3});
  step.images = {packed.images[0]};
  std::vector<at::Tensor> parts;
  for (int64_t done = 0; done < length;) {
    const int64_t count = step.sequences[0].new_tokens;
    step.token_ids = packed.token_ids.slice(0, done, done + count);
    const auto hidden = reference.model->ForwardCached(step, cache);
    ASSERT_TRUE(hidden.ok()) << hidden.status();
    parts.push_back(*hidden);
    done += count;
    step.sequences[0].past_tokens = done;
    step.sequences[0].new_tokens = 1;
    step.images.clear();
  }
  EXPECT_LT(MaxDifference(at::cat(parts), whole->slice(0, 0, length)), 1e-4);
}

TEST_P(EveryConfiguration, IsTheSameAfterSavingAndLoading) {
  const at::NoGradGuard no_grad;
  Case reference(GetParam());
  const at::Tensor before = reference.Logits();
  for (const int64_t max_shard_bytes : {int64_t{5} << 30, int64_t{20'000}}) {
    const TestFolder folder;
    ASSERT_TRUE(SaveModel(*reference.model, folder / "saved", max_shard_bytes).ok());
    const bool single = std::filesystem::exists(folder / "saved/model.safetensors");
    EXPECT_EQ(single, max_shard_bytes > 1'000'000);
    auto loaded = LoadModel(folder / "saved");
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    reference.model = *std::move(loaded);
    EXPECT_EQ(MaxDifference(reference.Logits(), before), 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(LlavaModel, EveryConfiguration,
                         testing::Values("plain", "grouped_queries", "tied_one_kv_head", "head_dim_and_theta",
                                         "last_layer_full", "layer_list_and_acts", "sharded_biases_old_theta",
                                         "bfloat16", "float16_reward_prefix"),
                         [](const auto& info) { return info.param; });

TEST(LlavaModel, ScoresAsTheHeadSays) {
  const at::NoGradGuard no_grad;
  Case reference("float16_reward_prefix");
  ASSERT_TRUE(reference.model->shape().has_score_head);
  const at::Tensor scores = reference.model->Scores(*reference.model->Forward(reference.WithImages()));
  EXPECT_EQ(scores.scalar_type(), at::kFloat);
  EXPECT_LT(MaxDifference(scores, reference.expected.at("scores")), 1e-4);
}

TEST(LlavaModel, AddsAScoreHeadThatIsSavedAndRepeatable) {
  const TestFolder folder;
  Case reference("plain");
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

TEST(LlavaModel, ComputesInTheDtypeAskedFor) {
  const at::NoGradGuard no_grad;
  Case reference("plain", {.dtype = at::kBFloat16});
  const at::Tensor logits = reference.Logits();
  EXPECT_EQ(logits.scalar_type(), at::kBFloat16);
  const at::Tensor exact = reference.expected.at("logits");
  EXPECT_LT((logits.to(at::kFloat) - exact).norm().item<double>() / exact.norm().item<double>(), 0.05);
}

TEST(LlavaModel, SharesOnePictureBetweenSequences) {
  const at::NoGradGuard no_grad;
  Case reference("plain");
  const int64_t length = reference.input.cu_seqlens[1];
  PackedInput twice;
  twice.token_ids = reference.input.token_ids.slice(0, 0, length).repeat({2});
  twice.cu_seqlens = {0, length, 2 * length};
  const auto features = reference.model->EncodeImages(absl::MakeSpan(reference.pictures).subspan(0, 1));
  twice.images = {features[0], features[0]};
  const auto hidden = reference.model->Forward(twice);
  ASSERT_TRUE(hidden.ok());
  const at::Tensor logits = reference.model->Logits(*hidden);
  EXPECT_LT(MaxDifference(logits.slice(0, 0, length), logits.slice(0, length)), 1e-6);
  EXPECT_LT(MaxDifference(logits.slice(0, length), reference.expected.at("logits").slice(0, 0, length)),
            1e-4);
}

TEST(LlavaModel, CachesSeveralSequencesAtOnce) {
  const at::NoGradGuard no_grad;
  Case reference("grouped_queries");
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
  Case reference("plain");
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
  Case reference("sharded_biases_old_theta");
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
  Case reference("plain");
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
  Case reference("plain");
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
  std::filesystem::copy(Fixture("plain") / "config.json", folder / "config.json");
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
