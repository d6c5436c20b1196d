// Every operation on every device and in every dtype against the CPU in float32: values and gradients agree
// within what the dtype can tell apart.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/hash.h"
#include "kernels/ops.h"

namespace rein::kernels {
namespace {

using Tensors = std::vector<at::Tensor>;
using Operation = std::function<at::Tensor(const Tensors&, at::Device)>;

at::Tensor Random(at::IntArrayRef shape) {
  static at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(11);
  return at::randn(shape, generator, at::kFloat);
}

double Epsilon(at::ScalarType dtype) {
  if (dtype == at::kBFloat16) return 1.0 / 128;
  return dtype == at::kHalf ? 1.0 / 1024 : 1.0 / 8388608;
}

class Devices : public testing::TestWithParam<std::tuple<at::DeviceType, at::ScalarType>> {
 protected:
  void SetUp() override {
    if (device().is_cuda() && !at::hasCUDA()) GTEST_SKIP() << "LibTorch sees no CUDA device";
  }
  at::Device device() const { return std::get<0>(GetParam()); }
  at::ScalarType dtype() const { return std::get<1>(GetParam()); }

  // Value and gradients, as float32 on the CPU.
  static Tensors Run(const Tensors& inputs, at::Device device, at::ScalarType dtype,
                     const Operation& operation) {
    Tensors leaves;
    for (const at::Tensor& input : inputs)
      leaves.push_back(input.to(device, dtype, false, /*copy=*/true).requires_grad_(true));
    const at::Tensor out = operation(leaves, device);
    const at::Tensor weights = at::sin(at::arange(out.numel(), at::kFloat)).reshape(out.sizes()).to(device);
    (out.to(at::kFloat) * weights).sum().backward();
    Tensors results = {out.detach().to(at::kCPU, at::kFloat)};
    for (const at::Tensor& leaf : leaves) results.push_back(leaf.grad().to(at::kCPU, at::kFloat));
    return results;
  }

  // Inputs are rounded to the dtype first, so that only the operation's own roundings count.
  void ExpectAgrees(Tensors inputs, const Operation& operation) const {
    for (at::Tensor& input : inputs) input = input.to(dtype()).to(at::kFloat);
    const Tensors ours = Run(inputs, device(), dtype(), operation);
    const Tensors expected = Run(inputs, at::kCPU, at::kFloat, operation);
    for (size_t i = 0; i < ours.size(); ++i) {
      const double scale = std::max(1.0, expected[i].abs().max().item<double>());
      const double difference = (ours[i] - expected[i]).abs().max().item<double>();
      EXPECT_LE(difference, 16 * Epsilon(dtype()) * scale) << "part " << i;
    }
  }
};

TEST_P(Devices, LogProbAndEntropyAgree) {
  for (const int64_t vocab : {7, 300, 1001}) {
    at::Tensor allowed = at::ones({vocab}, at::kBool);
    allowed[vocab - 1] = false;
    for (const bool masked : {false, true}) {
      for (const bool entropy : {false, true}) {
        ExpectAgrees({Random({3, vocab}) * 3}, [&](const Tensors& in, at::Device device) {
          const at::Tensor mask = masked ? allowed.to(device) : at::Tensor();
          const auto result =
              LogProbAndEntropy(in[0], at::tensor({0, 5, 2}, at::kLong).to(device), 0.7, mask);
          return entropy ? result.entropy : result.logprob;
        });
      }
    }
  }
}

TEST_P(Devices, RmsNormAgrees) {
  for (const int64_t hidden : {3, 64, 700}) {
    ExpectAgrees({Random({130, hidden}), Random({hidden})},
                 [](const Tensors& in, at::Device) { return RmsNorm(in[0], in[1], 1e-5); });
  }
}

TEST_P(Devices, RotaryAgrees) {
  const at::Tensor angles = Random({5, 8});
  ExpectAgrees({Random({5, 3, 8})}, [&](const Tensors& in, at::Device device) {
    return Rotary(in[0], at::cos(angles).to(device), at::sin(angles).to(device));
  });
}

TEST_P(Devices, PackedAttentionAgrees) {
  for (const auto& [heads, kv_heads, dim] :
       {std::tuple<int64_t, int64_t, int64_t>{4, 2, 16}, {3, 3, 20}, {2, 1, 128}}) {
    ExpectAgrees({Random({310, heads, dim}), Random({310, kv_heads, dim}), Random({310, kv_heads, dim})},
                 [](const Tensors& in, at::Device) {
                   return PackedAttention(in[0], in[1], in[2], {0, 5, 6, 310}, 0.2);
                 });
  }
}

TEST_P(Devices, PagedAttentionAgreesWithPackedAttention) {
  const auto run = [](const Tensors& in, at::Device device) {
    // Blocks 2, 0, 1 of four tokens each hold one sequence of eleven.
    const at::Tensor order = at::tensor({2, 0, 1}, at::kInt).to(device);
    const auto cache = [&](const at::Tensor& rows) {
      const at::Tensor padded = at::constant_pad_nd(rows, {0, 0, 0, 0, 0, 1}).reshape({3, 4, 2, 16});
      return at::zeros_like(padded).index_copy(0, order.to(at::kLong), padded);
    };
    const at::Tensor table = at::tensor({2, 0, 1}, at::kInt).reshape({1, 3});
    return PagedAttention(in[0].slice(0, 8), cache(in[1]), cache(in[2]), table, {3}, {11}, 0.25);
  };
  const auto rounded = [&](at::IntArrayRef shape) { return Random(shape).to(dtype()); };
  if (device().is_cpu() && dtype() != at::kFloat) GTEST_SKIP() << "the paged cache on CPU is float32 only";
  const Tensors inputs = {rounded({11, 4, 16}), rounded({11, 2, 16}), rounded({11, 2, 16})};
  Tensors there, here;
  for (const at::Tensor& input : inputs) {
    there.push_back(input.to(device()));
    here.push_back(input.to(at::kFloat));
  }
  const at::Tensor expected = PackedAttention(here[0], here[1], here[2], {0, 11}, 0.25).slice(0, 8);
  const at::Tensor ours = run(there, device()).to(at::kCPU, at::kFloat);
  EXPECT_LE((ours - expected).abs().max().item<double>(), 16 * Epsilon(dtype()));
}

INSTANTIATE_TEST_SUITE_P(All, Devices,
                         testing::Combine(testing::Values(at::kCPU, at::kCUDA),
                                          testing::Values(at::kFloat, at::kBFloat16, at::kHalf)));

TEST(SampleTokensOnCuda, DrawsTheTokensOfTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "LibTorch sees no CUDA device";
  const int64_t rows = 64, vocab = 1003;
  const at::Tensor logits = Random({rows, vocab}) * 2;
  at::Tensor bits = at::empty({rows}, at::kLong), allowed = at::ones({vocab}, at::kBool);
  for (int64_t i = 0; i < rows; ++i) bits[i] = static_cast<int64_t>(RandomBits(5, i));
  allowed.slice(0, 100, 200).fill_(false);
  for (const auto& [temperature, top_p, top_k] :
       {std::tuple<double, double, int64_t>{0, 1, 0}, {0.8, 1, 0}, {1, 0.9, 0}, {1, 1, 40}, {1.3, 0.7, 5}}) {
    const SampledTokens here = SampleTokens(logits, temperature, allowed, bits, top_p, top_k);
    const SampledTokens there = SampleTokens(logits.to(at::kCUDA), temperature, allowed.to(at::kCUDA),
                                             bits.to(at::kCUDA), top_p, top_k);
    EXPECT_TRUE(at::equal(there.token.cpu(), here.token)) << "temperature " << temperature;
    EXPECT_TRUE(at::allclose(there.logprob.cpu(), here.logprob, 1e-5, 1e-5));
  }
}

}  // namespace
}  // namespace rein::kernels
