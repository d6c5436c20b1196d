#include "models/recomputed.h"

#include <ATen/core/grad_mode.h>

#include "models/test_support.h"
#include "models/vision_language_model.h"

namespace rein::models {
namespace {

at::Tensor Leaf(double start) {
  return (at::arange(6, at::kFloat) + start).view({2, 3}).requires_grad_(true);
}

TEST(Recomputed, RunsTheBlockOnceMoreAndKeepsItsGradients) {
  const at::Tensor x = Leaf(0.5), weight = Leaf(-1);
  int runs = 0;
  const auto block = [&](const at::Tensor& in) {
    ++runs;
    return (in * weight).sin() + in;
  };
  block(x).square().sum().backward();
  const at::Tensor by_x = x.grad().clone(), by_weight = weight.grad().clone();
  x.mutable_grad().reset();
  weight.mutable_grad().reset();
  runs = 0;
  const at::Tensor result = Recomputed(block, x);
  EXPECT_EQ(runs, 1);
  result.square().sum().backward();
  EXPECT_EQ(runs, 2);
  EXPECT_TRUE(at::equal(x.grad(), by_x));
  EXPECT_TRUE(at::equal(weight.grad(), by_weight));
}

TEST(Recomputed, ReachesLeavesBehindAnInputThatNeedsNoGradient) {
  const at::Tensor weight = Leaf(1);
  Recomputed([&](const at::Tensor& in) { return in * weight; }, at::full({2, 3}, 2.0)).sum().backward();
  EXPECT_TRUE(at::equal(weight.grad(), at::full({2, 3}, 2.0)));
}

TEST(Recomputed, IsTheBlockItselfWithoutGradients) {
  const at::NoGradGuard no_grad;
  int runs = 0;
  const at::Tensor x = at::ones({2});
  const auto block = [&](const at::Tensor& in) {
    ++runs;
    return in * 2;
  };
  EXPECT_TRUE(at::equal(Recomputed(block, x), at::full({2}, 2.0)));
  EXPECT_EQ(runs, 1);
}

// Gradients of all tensors of a loss over two passes, with a picture.
NamedTensors Gradients(bool recompute) {
  auto model = LoadModel(Fixture("llava/grouped_queries")).value();
  const auto data = ReadAsMap(Fixture("llava/grouped_queries") / "expected.safetensors");
  EXPECT_TRUE(TrainableParameters(*model, {}).ok());
  model->CheckpointActivations(recompute);
  const int64_t length = data.at("lengths")[0].item<int64_t>();
  for (int pass = 0; pass < 2; ++pass) {
    PackedInput input;
    input.token_ids = data.at("token_ids").slice(0, 0, length);
    input.cu_seqlens = {0, length};
    input.images = model->EncodeImages({ProcessedImage{.pixels = data.at("pixels").slice(0, 0, 1)}});
    const auto hidden = model->Forward(input);
    EXPECT_TRUE(hidden.ok()) << hidden.status();
    model->Logits(*hidden).log_softmax(-1).select(1, 7 + pass).mean().backward();
  }
  NamedTensors gradients;
  for (const auto& [name, tensor] : model->tensors()) {
    if (tensor.grad().defined()) gradients.emplace_back(name, tensor.grad());
  }
  return gradients;
}

TEST(CheckpointActivations, LeavesEveryGradientAsItIsToTheBit) {
  const NamedTensors plain = Gradients(false), recomputed = Gradients(true);
  ASSERT_EQ(plain.size(), recomputed.size());
  EXPECT_GT(plain.size(), 30u);
  for (size_t i = 0; i < plain.size(); ++i) {
    EXPECT_EQ(plain[i].first, recomputed[i].first);
    EXPECT_TRUE(at::equal(plain[i].second, recomputed[i].second)) << plain[i].first;
  }
}

}  // namespace
}  // namespace rein::models
