// Every operation against a plain formula in double precision, and its gradient against autograd through that
// formula.
#include "kernels/ops.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "base/hash.h"

namespace rein::kernels {
namespace {

at::Tensor Random(at::IntArrayRef shape, double scale = 1.0) {
  static at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(7);
  return at::randn(shape, generator, at::kFloat) * scale;
}

// Runs `operation` on copies that need gradients and returns result and gradients for a fixed output
// gradient.
std::vector<at::Tensor> WithGradients(
    const std::vector<at::Tensor>& inputs,
    const std::function<at::Tensor(const std::vector<at::Tensor>&)>& operation) {
  std::vector<at::Tensor> leaves;
  for (const at::Tensor& input : inputs) leaves.push_back(input.detach().clone().requires_grad_(true));
  const at::Tensor out = operation(leaves);
  const at::Tensor weights =
      at::sin(at::arange(out.numel(), at::kDouble) * 0.7 + 1.0).reshape(out.sizes()).to(out.options());
  (out * weights).sum().backward();
  std::vector<at::Tensor> results = {out.detach().to(at::kDouble)};
  for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().to(at::kDouble));
  return results;
}

// The operation on float32 agrees with the formula on float64, value and gradients.
void ExpectAgrees(const std::vector<at::Tensor>& inputs,
                  const std::function<at::Tensor(const std::vector<at::Tensor>&)>& operation,
                  const std::function<at::Tensor(const std::vector<at::Tensor>&)>& formula,
                  double tolerance = 2e-5) {
  std::vector<at::Tensor> doubles;
  for (const at::Tensor& input : inputs) doubles.push_back(input.to(at::kDouble));
  const auto ours = WithGradients(inputs, operation), expected = WithGradients(doubles, formula);
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TRUE(at::allclose(ours[i], expected[i], tolerance, tolerance))
        << "part " << i << " differs by " << (ours[i] - expected[i]).abs().max().item<double>();
  }
}

at::Tensor AllowedMask(int64_t vocab) {
  at::Tensor allowed = at::ones({vocab}, at::kBool);
  allowed[3] = false;
  allowed[vocab - 1] = false;
  return allowed;
}

at::Tensor LogProbFormula(const at::Tensor& logits, const at::Tensor& targets, double temperature,
                          const at::Tensor& allowed, bool entropy) {
  at::Tensor z = logits / temperature;
  if (allowed.defined()) z = z.masked_fill(allowed.logical_not(), -1e30);
  const at::Tensor logp = at::log_softmax(z, 1);
  if (entropy) return -(logp.exp() * logp.clamp_min(-1e20)).sum(1);
  return logp.gather(1, targets.unsqueeze(1)).squeeze(1);
}

class LogProb : public testing::TestWithParam<std::tuple<int64_t, double, bool>> {};

TEST_P(LogProb, AgreesWithLogSoftmax) {
  const auto [vocab, temperature, masked] = GetParam();
  const at::Tensor targets = at::tensor({0, 1, 5, 2, 4}, at::kLong);
  const at::Tensor allowed = masked ? AllowedMask(vocab) : at::Tensor();
  for (const bool entropy : {false, true}) {
    ExpectAgrees(
        {Random({5, vocab}, 3)},
        [&](const auto& in) {
          const LogProbEntropy result = LogProbAndEntropy(in[0], targets, temperature, allowed);
          return entropy ? result.entropy : result.logprob;
        },
        [&](const auto& in) { return LogProbFormula(in[0], targets, temperature, allowed, entropy); });
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, LogProb,
                         testing::Combine(testing::Values(7, 16, 501), testing::Values(1.0, 0.7, 2.0),
                                          testing::Bool()));

TEST(LogProbAndEntropy, SurvivesExtremeLogits) {
  const at::Tensor logits = at::tensor({1e4f, -1e4f, 0.0f, 88.0f}).reshape({1, 4});
  const LogProbEntropy result = LogProbAndEntropy(logits, at::tensor({0}, at::kLong), 1.0, at::Tensor());
  EXPECT_EQ(result.logprob.item<float>(), 0);
  EXPECT_EQ(result.entropy.item<float>(), 0);
}

TEST(LogProbAndEntropy, RefusesWrongArguments) {
  const at::Tensor logits = Random({2, 8}), targets = at::tensor({1, 2}, at::kLong);
  EXPECT_THROW(LogProbAndEntropy(logits, at::tensor({1}, at::kLong), 1, {}), c10::Error);
  EXPECT_THROW(LogProbAndEntropy(logits, at::tensor({1, 8}, at::kLong), 1, {}), c10::Error);
  EXPECT_THROW(LogProbAndEntropy(logits, at::tensor({1, 3}, at::kLong), 1, AllowedMask(8)), c10::Error);
  EXPECT_THROW(LogProbAndEntropy(logits, targets, 0, {}), c10::Error);
  EXPECT_THROW(LogProbAndEntropy(logits.to(at::kDouble), targets, 1, {}), c10::Error);
  EXPECT_THROW(LogProbAndEntropy(logits, targets, 1, at::ones({7}, at::kBool)), c10::Error);
}

// Values that bfloat16 holds, so that only results are rounded.
at::Tensor Rounded(const at::Tensor& x) { return x.to(at::kBFloat16).to(at::kFloat); }

TEST(Linear, InBfloat16IsTheExactProductRounded) {
  const auto in_bfloat16 = [](const auto& in) {
    return Linear(in[0].to(at::kBFloat16), in[1].to(at::kBFloat16), in[2].to(at::kBFloat16))
        .to(in[0].dtype());
  };
  // The gradient that comes in is rounded, too.
  const auto rounded_product = [](const auto& in) {
    return at::linear(in[0], in[1], in[2]).to(at::kBFloat16).to(at::kDouble);
  };
  // Few rows and many, columns that fill registers and that do not, several panels of weights.
  for (const auto& [rows, in, out] : {std::tuple<int64_t, int64_t, int64_t>{1, 64, 9},
                                      {2, 5, 1},
                                      {7, 100, 13},
                                      {64, 33, 6},
                                      {65, 48, 7},
                                      {70, 3000, 400}}) {
    ExpectAgrees({Rounded(Random({rows, in})), Rounded(Random({out, in})), Rounded(Random({out}))},
                 in_bfloat16, rounded_product, /*tolerance=*/8e-3);
  }
}

TEST(Linear, InBfloat16KeepsLeadingDimensions) {
  const at::Tensor x = Random({2, 3, 20}).to(at::kBFloat16), weight = Random({5, 20}).to(at::kBFloat16);
  const at::Tensor y = Linear(x, weight);
  EXPECT_EQ(y.sizes(), at::IntArrayRef({2, 3, 5}));
  EXPECT_EQ(y.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(y.flatten(0, 1), Linear(x.flatten(0, 1), weight)));
  EXPECT_EQ(Linear(x.narrow(0, 0, 0), weight).sizes(), at::IntArrayRef({0, 3, 5}));
}

TEST(Linear, InBfloat16GivesFrozenWeightsNoGradient) {
  const at::Tensor x = Random({3, 20}).to(at::kBFloat16).requires_grad_(true);
  const at::Tensor weight = Random({5, 20}).to(at::kBFloat16);
  Linear(x, weight).sum().backward();
  EXPECT_TRUE(at::allclose(x.grad()[0].to(at::kFloat), weight.to(at::kFloat).sum(0), 8e-3, 8e-3));
  EXPECT_FALSE(weight.grad().defined());
}

TEST(Linear, RefusesWrongShapes) {
  EXPECT_THROW(Linear(Random({2, 4}), Random({3, 5})), c10::Error);
  EXPECT_THROW(Linear(Random({2, 4}), Random({3, 4}), Random({4})), c10::Error);
}

TEST(RmsNorm, AgreesWithTheFormula) {
  for (const int64_t hidden : {3, 16, 100}) {
    ExpectAgrees(
        {Random({6, hidden}), Random({hidden})}, [](const auto& in) { return RmsNorm(in[0], in[1], 1e-5); },
        [](const auto& in) { return in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-5) * in[1]; });
  }
  EXPECT_THROW(RmsNorm(Random({2, 4}), Random({5}), 1e-5), c10::Error);
}

TEST(RmsNorm, AddsUpManyRows) {
  ExpectAgrees(
      {Random({200, 16}), Random({16})}, [](const auto& in) { return RmsNorm(in[0], in[1], 1e-5); },
      [](const auto& in) { return in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-5) * in[1]; });
}

TEST(SiluProduct, AgreesWithTheFormula) {
  for (const int64_t width : {1, 8, 37}) {
    ExpectAgrees(
        {Random({5, 2 * width}, 3)}, [](const auto& in) { return SiluProduct(in[0]); },
        [](const auto& in) {
          const auto halves = in[0].chunk(2, 1);
          return halves[0] * at::sigmoid(halves[0]) * halves[1];
        });
  }
  EXPECT_THROW(SiluProduct(Random({2, 3})), c10::Error);
}

TEST(SiluProduct, SurvivesExtremeGates) {
  const at::Tensor product = SiluProduct(at::tensor({200.0f, -200.0f, 2.0f, 2.0f}).reshape({1, 4}));
  EXPECT_TRUE(at::allclose(product, at::tensor({400.0f, 0.0f}).reshape({1, 2}), 0, 1e-30)) << product;
}

TEST(Rotary, AgreesWithRotateHalf) {
  const at::Tensor angles = Random({5, 8});
  const at::Tensor cos = at::cos(angles), sin = at::sin(angles);
  ExpectAgrees(
      {Random({5, 3, 8})}, [&](const auto& in) { return Rotary(in[0], cos, sin); },
      [&](const auto& in) {
        const auto halves = in[0].chunk(2, -1);
        const at::Tensor turned = at::cat({-halves[1], halves[0]}, -1);
        return in[0] * cos.to(at::kDouble).unsqueeze(1) + turned * sin.to(at::kDouble).unsqueeze(1);
      });
  EXPECT_THROW(Rotary(Random({5, 3, 7}), cos, sin), c10::Error);
  EXPECT_THROW(Rotary(Random({4, 3, 8}), cos, sin), c10::Error);
}

// One causal softmax attention a sequence, heads repeated.
at::Tensor AttentionFormula(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                            const std::vector<int64_t>& cu_seqlens, double scale) {
  const int64_t group = q.size(1) / k.size(1);
  std::vector<at::Tensor> parts;
  for (size_t i = 1; i < cu_seqlens.size(); ++i) {
    const auto cut = [&](const at::Tensor& x) {
      return x.slice(0, cu_seqlens[i - 1], cu_seqlens[i]).transpose(0, 1);
    };
    const at::Tensor keys = cut(k).repeat_interleave(group, 0), values = cut(v).repeat_interleave(group, 0);
    at::Tensor scores = at::matmul(cut(q), keys.transpose(1, 2)) * scale;
    const int64_t length = scores.size(1);
    scores = scores.masked_fill(at::ones({length, length}, at::kBool).triu(1), -1e30);
    parts.push_back(at::matmul(scores.softmax(-1), values).transpose(0, 1));
  }
  return at::cat(parts);
}

TEST(PackedAttention, AgreesWithOneSoftmaxASequence) {
  const std::vector<int64_t> cu_seqlens = {0, 5, 6, 23};
  for (const auto& [heads, kv_heads, dim] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 2, 16}, {3, 3, 8}, {4, 1, 20}}) {
    ExpectAgrees(
        {Random({23, heads, dim}), Random({23, kv_heads, dim}), Random({23, kv_heads, dim})},
        [&](const auto& in) { return PackedAttention(in[0], in[1], in[2], cu_seqlens, 0.3); },
        [&](const auto& in) { return AttentionFormula(in[0], in[1], in[2], cu_seqlens, 0.3); });
  }
}

// More than a block of queries, and sizes that fill neither blocks nor panels.
TEST(PackedAttention, AgreesWithOneSoftmaxALongSequence) {
  const std::vector<int64_t> cu_seqlens = {0, 0, 70, 71, 104, 104};
  for (const auto& [heads, kv_heads, dim] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 2, 64}, {2, 2, 37}, {2, 1, 80}}) {
    ExpectAgrees(
        {Random({104, heads, dim}), Random({104, kv_heads, dim}), Random({104, kv_heads, dim})},
        [&](const auto& in) { return PackedAttention(in[0], in[1], in[2], cu_seqlens, 0.3); },
        [&](const auto& in) { return AttentionFormula(in[0], in[1], in[2], cu_seqlens, 0.3); });
  }
}

// Queries, keys and values as a joined projection leaves them, and with heads apart.
TEST(PackedAttention, TakesTokensThatStandApart) {
  const std::vector<int64_t> cu_seqlens = {0, 40, 50};
  const at::Tensor joined = Random({50, 8, 16});
  const auto parts = [](const at::Tensor& x) { return x.split_with_sizes({4, 2, 2}, 1); };
  ExpectAgrees(
      {joined},
      [&](const auto& in) {
        const auto qkv = parts(in[0]);
        return PackedAttention(qkv[0], qkv[1], qkv[2], cu_seqlens, 0.3);
      },
      [&](const auto& in) {
        const auto qkv = parts(in[0]);
        return AttentionFormula(qkv[0], qkv[1], qkv[2], cu_seqlens, 0.3);
      });
  const at::Tensor across = joined.transpose(1, 2).contiguous().transpose(1, 2);
  EXPECT_TRUE(at::equal(PackedAttention(across, across, across, cu_seqlens, 0.3),
                        PackedAttention(joined, joined, joined, cu_seqlens, 0.3)));
}

TEST(PackedAttention, GivesTheSameBitsAgain) {
  const at::Tensor x = Random({200, 4, 32});
  const auto run = [&] {
    return WithGradients({x}, [](const auto& in) {
      return PackedAttention(in[0], in[0], in[0], {0, 90, 200}, 0.3);
    });
  };
  const auto first = run(), second = run();
  for (size_t i = 0; i < first.size(); ++i) EXPECT_TRUE(at::equal(first[i], second[i]));
}

TEST(PackedAttention, OfASequenceIsTheSameAloneAndInACrowd) {
  const at::Tensor q = Random({30, 4, 16}), k = Random({30, 2, 16}), v = Random({30, 2, 16});
  const at::Tensor crowd = PackedAttention(q, k, v, {0, 7, 20, 30}, 0.25);
  const at::Tensor alone =
      PackedAttention(q.slice(0, 7, 20), k.slice(0, 7, 20), v.slice(0, 7, 20), {0, 13}, 0.25);
  EXPECT_TRUE(at::equal(crowd.slice(0, 7, 20), alone));
}

TEST(PackedAttention, RefusesWrongShapes) {
  const at::Tensor q = Random({6, 4, 8}), k = Random({6, 2, 8});
  EXPECT_THROW(PackedAttention(q, k, k, {0, 5}, 1), c10::Error);
  EXPECT_THROW(PackedAttention(q, k, k, {0, 4, 3, 6}, 1), c10::Error);
  EXPECT_THROW(PackedAttention(q, Random({6, 3, 8}), Random({6, 3, 8}), {0, 6}, 1), c10::Error);
  EXPECT_THROW(PackedAttention(q, Random({6, 2, 4}), Random({6, 2, 4}), {0, 6}, 1), c10::Error);
}

TEST(PagedAttention, AgreesWithPackedAttention) {
  const int64_t length = 11, block_tokens = 4;
  const at::Tensor q = Random({length, 4, 16}), k = Random({length, 2, 16}), v = Random({length, 2, 16});
  const at::Tensor tables = at::tensor({5, 0, 3}, at::kInt).reshape({1, 3});
  at::Tensor keys = at::zeros({6, block_tokens, 2, 16}), values = at::zeros({6, block_tokens, 2, 16});
  for (int64_t t = 0; t < length; ++t) {
    const int64_t block = tables[0][t / block_tokens].item<int64_t>();
    keys[block][t % block_tokens].copy_(k[t]);
    values[block][t % block_tokens].copy_(v[t]);
  }
  const at::Tensor whole = PackedAttention(q, k, v, {0, length}, 0.25);
  const at::Tensor tail = PagedAttention(q.slice(0, 8), keys, values, tables, {3}, {length}, 0.25);
  EXPECT_TRUE(at::allclose(tail, whole.slice(0, 8), 1e-5, 1e-6));
  EXPECT_THROW(PagedAttention(q, keys, values, tables, {11}, {13}, 0.25), c10::Error);
}

at::Tensor Bits(int64_t count) {
  at::Tensor bits = at::empty({count}, at::kLong);
  for (int64_t i = 0; i < count; ++i) bits[i] = static_cast<int64_t>(RandomBits(3, i));
  return bits;
}

TEST(SampleTokens, FollowsTheDistribution) {
  const int64_t draws = 20000;
  const at::Tensor row = at::tensor({1.0f, 0.0f, 2.0f, 5.0f, 0.5f, -1.0f});
  const at::Tensor allowed = AllowedMask(6);
  const SampledTokens sampled = SampleTokens(row.expand({draws, 6}), 0.8, allowed, Bits(draws));
  const at::Tensor p = at::softmax((row / 0.8).masked_fill(allowed.logical_not(), -1e30).to(at::kDouble), 0);
  const at::Tensor counts = at::bincount(sampled.token, {}, 6).to(at::kDouble) / draws;
  EXPECT_LT((counts - p).abs().max().item<double>(), 0.015);
  EXPECT_EQ(counts[3].item<double>(), 0);
  EXPECT_TRUE(
      at::allclose(sampled.logprob.to(at::kDouble), p.index_select(0, sampled.token).log(), 1e-5, 1e-5));
}

TEST(SampleTokens, IsGreedyAtTemperatureZero) {
  const at::Tensor logits = at::tensor({0.0f, 2.0f, 1.0f, 9.0f, 2.0f, 9.0f}).reshape({1, 6});
  EXPECT_EQ(SampleTokens(logits, 0, AllowedMask(6), Bits(1)).token.item<int64_t>(), 1);
  EXPECT_EQ(SampleTokens(logits, 0, {}, Bits(1)).token.item<int64_t>(), 3);
}

TEST(SampleTokens, StaysInsideTopKAndTopP) {
  const at::Tensor row = at::tensor({3.0f, 2.0f, 1.0f, 0.0f});
  EXPECT_EQ(SampleTokens(row.expand({500, 4}), 1, {}, Bits(500), 1.0, 2).token.max().item<int64_t>(), 1);
  EXPECT_EQ(SampleTokens(row.expand({500, 4}), 1, {}, Bits(500), 0.5, 0).token.max().item<int64_t>(), 0);
}

TEST(SampleTokens, RefusesWrongArguments) {
  const at::Tensor logits = Random({2, 4});
  EXPECT_THROW(SampleTokens(logits, -1, {}, Bits(2)), c10::Error);
  EXPECT_THROW(SampleTokens(logits, 1, {}, Bits(3)), c10::Error);
  EXPECT_THROW(SampleTokens(logits, 1, at::zeros({4}, at::kBool), Bits(2)), c10::Error);
  EXPECT_THROW(SampleTokens(logits, 1, {}, Bits(2), 0.0), c10::Error);
  EXPECT_THROW(SampleTokens(logits, 1, {}, Bits(2), 1.0, -1), c10::Error);
}

}  // namespace
}  // namespace rein::kernels
