#include "models/lora.h"

#include <ATen/core/grad_mode.h>

#include <cmath>

#include "base/hash.h"
#include "models/json.h"
#include "models/test_support.h"

namespace rein::models {
namespace {

using absl::StatusCode;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kQuery[] = "language_model.model.layers.1.self_attn.q_proj";

std::unique_ptr<VisionLanguageModel> Plain() {
  auto model = LoadModel(Fixture("llava/plain"));
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

LoraOptions Options(std::vector<std::string> targets) {
  return {.rank = 3, .alpha = 6, .targets = std::move(targets), .seed = 7};
}

std::vector<std::string> Layers(const Lora& lora) {
  std::vector<std::string> layers;
  for (const auto& [name, tensor] : lora.parameters()) {
    if (name.ends_with(".lora_A.weight")) layers.push_back(name.substr(0, name.size() - 14));
  }
  return layers;
}

PackedInput Words() {
  PackedInput input;
  input.token_ids = at::tensor({7, 8, 9, 10, 11, 12, 13, 14, 15}, at::kLong);
  input.cu_seqlens = {0, 5, 9};
  return input;
}

at::Tensor Hidden(VisionLanguageModel& model) {
  const auto hidden = model.Forward(Words());
  EXPECT_TRUE(hidden.ok()) << hidden.status();
  return *hidden;
}

at::Tensor HiddenWithoutGradient(VisionLanguageModel& model) {
  const at::NoGradGuard no_grad;
  return Hidden(model);
}

at::Tensor Find(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [candidate, tensor] : tensors) {
    if (candidate == name) return tensor;
  }
  ADD_FAILURE() << "no tensor " << name;
  return {};
}

// Values that depend on the name, so that B is not 0.
void Disturb(const Lora& lora, double size) {
  const at::NoGradGuard no_grad;
  double salt = 0;
  for (const auto& [name, tensor] : lora.parameters()) {
    tensor.add_(at::sin(at::arange(tensor.numel(), at::kFloat) + salt++).view(tensor.sizes()), size);
  }
}

TEST(Lora, TargetsAreNamesTheirEndsOrPatterns) {
  const auto model = Plain();
  const auto layers = [&](std::vector<std::string> targets, const std::vector<std::string>& frozen = {}) {
    const auto lora = Lora::Attach(model.get(), Options(std::move(targets)), frozen);
    EXPECT_TRUE(lora.ok()) << lora.status();
    return lora.ok() ? Layers(**lora) : std::vector<std::string>();
  };
  EXPECT_THAT(layers({kQuery}), ElementsAre(kQuery));
  EXPECT_THAT(layers({"layers.1.self_attn.q_proj"}, {"vision"}), ElementsAre(kQuery));
  EXPECT_THAT(layers({"language_model.*.q_proj"}),
              ElementsAre("language_model.model.layers.0.self_attn.q_proj", kQuery));
  EXPECT_EQ(layers({"q_proj"}).size(), 5u);  // three of them in the vision tower
  EXPECT_EQ(layers({"q_proj", "layers.0.mlp.*"}, {"vision"}).size(), 5u);
  EXPECT_EQ(layers({}).size(), 14u);  // all of the language model
}

TEST(Lora, ATargetThatMatchesNothingListsTheCandidates) {
  const auto model = Plain();
  ExpectError(Lora::Attach(model.get(), Options({"q_proj", "query"})).status(), StatusCode::kInvalidArgument,
              {"\"query\"", "q_proj", "linear_1", "down_proj", "vision_tower."});
  // The end of a name begins after a dot.
  ExpectError(Lora::Attach(model.get(), Options({"proj"})).status(), StatusCode::kInvalidArgument,
              {"\"proj\""});
  ExpectError(Lora::Attach(model.get(), Options({"linear_1"}), {"projector"}).status(),
              StatusCode::kInvalidArgument, {"\"linear_1\"", "q_proj"});
}

TEST(Lora, RefusesOptionsOutOfRangeAndASecondAdapter) {
  const auto model = Plain();
  const auto refused = [&](LoraOptions options, const std::string& text) {
    ExpectError(Lora::Attach(model.get(), options).status(), StatusCode::kInvalidArgument, {text});
  };
  refused({.rank = 0}, "lora.rank");
  refused({.rank = 2, .alpha = 0}, "lora.alpha");
  refused({.rank = 2, .dropout = 1}, "lora.dropout");
  const auto lora = Lora::Attach(model.get(), Options({"q_proj"}));
  ASSERT_TRUE(lora.ok());
  EXPECT_EQ(Lora::Attach(model.get(), Options({"q_proj"})).status().code(), StatusCode::kFailedPrecondition);
}

TEST(Lora, OnlyAdaptersAndTheScoreHeadTrain) {
  const auto model = Plain();
  model->AddScoreHead(1);
  const auto lora = Lora::Attach(model.get(), Options({kQuery})).value();
  ASSERT_EQ(lora->parameters().size(), 3u);
  EXPECT_THAT(lora->parameters()[0].second.sizes(), ElementsAre(3, 32));
  EXPECT_THAT(lora->parameters()[1].second.sizes(), ElementsAre(32, 3));
  EXPECT_EQ(lora->parameters()[2].first, "score_head.weight");
  model->Scores(Hidden(*model)).sum().backward();
  for (const auto& [name, tensor] : lora->parameters()) EXPECT_TRUE(tensor.grad().defined()) << name;
  for (const auto& [name, tensor] : model->tensors()) {
    EXPECT_EQ(tensor.requires_grad(), name == "score_head.weight") << name;
  }
}

TEST(Lora, ComputesWhatItDidUntilItHasLearned) {
  const auto model = Plain();
  const at::Tensor before = HiddenWithoutGradient(*model);
  const auto lora = Lora::Attach(model.get(), Options({"q_proj", "up_proj", "o_proj"})).value();
  EXPECT_LT(MaxDifference(Hidden(*model), before), 1e-5);
  lora->Merge();
  EXPECT_TRUE(at::equal(HiddenWithoutGradient(*model), before));
}

TEST(Lora, MergedWeightsComputeWhatTrainingComputes) {
  const auto model = Plain();
  const auto lora = Lora::Attach(model.get(), Options({})).value();
  const at::Tensor before = HiddenWithoutGradient(*model);
  Disturb(*lora, 0.05);
  const at::Tensor training = Hidden(*model);
  EXPECT_GT(MaxDifference(training, before), 0.1);
  EXPECT_TRUE(at::equal(HiddenWithoutGradient(*model), before)) << "not merged yet";
  lora->Merge();
  EXPECT_LT(MaxDifference(HiddenWithoutGradient(*model), training), 1e-4);
}

TEST(Lora, MergingAgainAndAgainDoesNotDrift) {
  const auto model = Plain();
  const at::Tensor base = Find(model->tensors(), std::string(kQuery) + ".weight").clone();
  const auto lora = Lora::Attach(model.get(), Options({kQuery})).value();
  const at::Tensor a = lora->parameters()[0].second, b = lora->parameters()[1].second;
  const at::NoGradGuard no_grad;
  for (int i = 0; i < 100; ++i) {
    b.fill_(std::sin(i));
    lora->Merge();
  }
  const at::Tensor live = Find(model->tensors(), std::string(kQuery) + ".weight");
  EXPECT_LT(MaxDifference(live, base + 2 * at::matmul(b, a)), 1e-6);
  b.zero_();
  lora->Merge();
  EXPECT_TRUE(at::equal(live, base));
}

TEST(Lora, GradientsMatchFiniteDifferences) {
  const auto model = Plain();
  const auto lora =
      Lora::Attach(model.get(), Options({"layers.0.self_attn.v_proj", "layers.1.mlp.up_proj"}), {"vision"})
          .value();
  Disturb(*lora, 0.05);
  const auto loss = [&] { return Hidden(*model).to(at::kDouble).square().mean(); };
  loss().backward();
  const at::NoGradGuard no_grad;
  for (const auto& [name, tensor] : lora->parameters()) {
    float& value = tensor.data_ptr<float>()[5];
    const float kept = value, size = 1e-2f;
    const at::AutoGradMode recording(true);
    value = kept + size;
    const double up = loss().item<double>();
    value = kept - size;
    const double down = loss().item<double>();
    value = kept;
    const double expected = (up - down) / (2 * size), found = tensor.grad().flatten()[5].item<double>();
    EXPECT_NEAR(found, expected, 2e-3 * std::abs(expected) + 2e-5) << name;
  }
}

TEST(Lora, RecomputedLayersGiveTheSameGradientsToTheBit) {
  std::vector<at::Tensor> gradients[2];
  for (const bool recompute : {false, true}) {
    const auto model = Plain();
    LoraOptions options = Options({"q_proj", "down_proj"});
    options.dropout = 0.3;
    const auto lora = Lora::Attach(model.get(), options, {"vision"}).value();
    Disturb(*lora, 0.05);
    model->CheckpointActivations(recompute);
    lora->StartPass(3, 1);
    Hidden(*model).square().mean().backward();
    for (const auto& [name, tensor] : lora->parameters()) gradients[recompute].push_back(tensor.grad());
  }
  ASSERT_EQ(gradients[0].size(), gradients[1].size());
  for (size_t i = 0; i < gradients[0].size(); ++i) {
    EXPECT_GT(gradients[0][i].abs().max().item<float>(), 0);
    EXPECT_TRUE(at::equal(gradients[0][i], gradients[1][i]));
  }
}

TEST(Lora, DropoutFollowsStepAndPassAndIsOffWithoutGradients) {
  const auto model = Plain();
  LoraOptions options = Options({"q_proj", "down_proj"});
  options.dropout = 0.5;
  const auto lora = Lora::Attach(model.get(), options, {"vision"}).value();
  Disturb(*lora, 0.05);
  lora->Merge();
  const auto at_pass = [&](int64_t step, int64_t pass) {
    lora->StartPass(step, pass);
    return Hidden(*model).detach();
  };
  const at::Tensor first = at_pass(1, 0), plain = HiddenWithoutGradient(*model);
  EXPECT_TRUE(at::equal(at_pass(1, 0), first));
  EXPECT_GT(MaxDifference(at_pass(1, 1), first), 1e-3);
  EXPECT_GT(MaxDifference(at_pass(2, 0), first), 1e-3);
  EXPECT_GT(MaxDifference(plain, first), 1e-3);
  lora->StartPass(9, 9);
  EXPECT_TRUE(at::equal(HiddenWithoutGradient(*model), plain));
}

TEST(DropoutMask, IsTheCounterStream) {
  constexpr uint64_t kKey = 0xfedcba9876543210ull;
  constexpr double kShare = 0.3;
  const at::Tensor mask = DropoutMask(kKey, kShare, {4, 50}, at::kCPU);
  const at::Tensor flat = mask.flatten();
  for (int64_t i = 0; i < flat.numel(); ++i) {
    const auto bits = static_cast<int64_t>(Mix64(kKey + static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15ull));
    const bool kept = static_cast<double>(bits) / 0x1p64 >= kShare - 0.5;
    EXPECT_FLOAT_EQ(flat[i].item<float>(), kept ? static_cast<float>(1 / (1 - kShare)) : 0.0f) << i;
  }
  const at::Tensor large = DropoutMask(1, kShare, {100000}, at::kCPU);
  EXPECT_NEAR(large.mean().item<double>(), 1, 0.01);
}

TEST(Lora, SavesWhatPeftReadsAndReadsItBack) {
  const TestFolder folder;
  const auto model = Plain();
  model->AddScoreHead(2);
  const auto lora = Lora::Attach(model.get(), Options({kQuery, "linear_2"})).value();
  Disturb(*lora, 0.05);
  lora->Merge();
  ASSERT_TRUE(lora->Save(folder / "adapter", "start").ok());
  const auto tensors = ReadAsMap(folder / "adapter" / "adapter_model.safetensors");
  EXPECT_EQ(tensors.size(), 5u);
  EXPECT_TRUE(
      tensors.contains("base_model.model.model.language_model.layers.1.self_attn.q_proj.lora_A.weight"));
  EXPECT_TRUE(tensors.contains("base_model.model.model.multi_modal_projector.linear_2.lora_B.weight"));
  EXPECT_TRUE(tensors.contains("base_model.model.score_head.weight"));
  const Json config = ReadJsonObject(folder / "adapter" / "adapter_config.json", 1 << 20).value();
  EXPECT_EQ(config["peft_type"], "LORA");
  EXPECT_EQ(config["r"], 3);
  EXPECT_EQ(config["lora_alpha"], 6);
  EXPECT_EQ(config["base_model_name_or_path"], "start");
  EXPECT_EQ(config["target_modules"][0], "model.multi_modal_projector.linear_2");

  const auto other = Plain();
  other->AddScoreHead(9);
  const auto restored = Lora::Attach(other.get(), Options({kQuery, "linear_2"})).value();
  const auto values = restored->Read(folder / "adapter");
  ASSERT_TRUE(values.ok()) << values.status();
  restored->Set(*values);
  for (size_t i = 0; i < model->tensors().size(); ++i) {
    EXPECT_TRUE(at::equal(model->tensors()[i].second, other->tensors()[i].second))
        << model->tensors()[i].first;
  }
}

TEST(Lora, RefusesAdaptersOfOtherOptionsAndBrokenOnes) {
  const TestFolder folder;
  const auto model = Plain();
  auto lora = Lora::Attach(model.get(), Options({kQuery})).value();
  ASSERT_TRUE(lora->Save(folder / "adapter", "start").ok());
  const auto read_with = [&](const LoraOptions& options) {
    lora.reset();
    lora = Lora::Attach(model.get(), options).value();
    return lora->Read(folder / "adapter").status();
  };
  LoraOptions options = Options({kQuery});
  options.rank = 4;
  ExpectError(read_with(options), StatusCode::kInvalidArgument, {"adapter_config.json", "3", "lora.rank 4"});
  options = Options({kQuery});
  options.alpha = 5;
  ExpectError(read_with(options), StatusCode::kInvalidArgument, {"lora_alpha", "lora.alpha 5"});
  ExpectError(read_with(Options({"q_proj"})), StatusCode::kInvalidArgument, {"2 tensors, expected 10"});
  ExpectError(read_with(Options({"layers.0.self_attn.k_proj"})), StatusCode::kInvalidArgument, {"expected"});
  ExpectError(lora->Read(folder / "absent").status(), StatusCode::kNotFound, {"absent"});
  Write(folder / "adapter" / "adapter_config.json", "{\"r\": \"many\"}");
  EXPECT_EQ(lora->Read(folder / "adapter").status().code(), StatusCode::kInvalidArgument);
}

TEST(PeftLayerName, IsThatOfTheModuleInTransformers) {
  const auto model = Plain();
  EXPECT_EQ(PeftLayerName(*model, "language_model.model.layers.0.mlp.up_proj"),
            "model.language_model.layers.0.mlp.up_proj");
  EXPECT_EQ(PeftLayerName(*model, "vision_tower.vision_model.encoder.layers.0.mlp.fc1"),
            "model.vision_tower.encoder.layers.0.mlp.fc1");
  EXPECT_EQ(PeftLayerName(*model, "multi_modal_projector.linear_1"), "model.multi_modal_projector.linear_1");
}

}  // namespace
}  // namespace rein::models
