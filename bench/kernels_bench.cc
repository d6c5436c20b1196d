// Kernels on the CPU, ours beside the same thing put together from ATen operations. Compare items_per_second:
// rows (tokens) a second.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <c10/core/GradMode.h>

#include "base/hash.h"
#include "bench/inputs.h"
#include "kernels/ops.h"

namespace rein::bench {
namespace {

constexpr int64_t kRows = 1024;
constexpr int64_t kVocab = 32000;

struct LogProbInputs {
  at::Tensor logits = PatternMatrix(kRows, kVocab, 8);
  at::Tensor targets = at::arange(kRows, at::kLong) * 37 % kVocab;
};

const LogProbInputs& Inputs() {
  static const LogProbInputs inputs;
  return inputs;
}

kernels::LogProbEntropy Ours(const at::Tensor& logits) {
  return kernels::LogProbAndEntropy(logits, Inputs().targets, 1.0, {});
}

kernels::LogProbEntropy Unfused(const at::Tensor& logits) {
  const at::Tensor logp = at::log_softmax(logits, 1);
  return {logp.gather(1, Inputs().targets.unsqueeze(1)).squeeze(1), -(logp.exp() * logp).sum(1)};
}

using LogProb = kernels::LogProbEntropy (*)(const at::Tensor&);

void LogProbEntropyForward(benchmark::State& state, LogProb function) {
  const c10::NoGradGuard no_grad;
  const auto result = function(Inputs().logits), expected = Unfused(Inputs().logits);
  if (!at::allclose(result.logprob, expected.logprob, 1e-4, 1e-4) ||
      !at::allclose(result.entropy, expected.entropy, 1e-4, 1e-4))
    return state.SkipWithError("results differ from ATen's");
  for (auto _ : state) benchmark::DoNotOptimize(function(Inputs().logits));
  state.SetItemsProcessed(state.iterations() * kRows);
  state.counters["check_logprob"] = result.logprob.mean().item<double>();
  state.counters["check_entropy"] = result.entropy.mean().item<double>();
}
BENCHMARK_CAPTURE(LogProbEntropyForward, ours, Ours)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(LogProbEntropyForward, aten, Unfused)->Unit(benchmark::kMillisecond)->UseRealTime();

void LogProbEntropyBackward(benchmark::State& state, LogProb function) {
  const auto gradient = [&](LogProb of) {
    const at::Tensor logits = Inputs().logits.detach().requires_grad_(true);
    const auto result = of(logits);
    (result.logprob.sum() + 0.1 * result.entropy.sum()).backward();
    return logits.grad();
  };
  if (!at::allclose(gradient(function), gradient(Unfused), 1e-3, 1e-5))
    return state.SkipWithError("gradients differ from ATen's");
  for (auto _ : state) benchmark::DoNotOptimize(gradient(function));
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(LogProbEntropyBackward, ours, Ours)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(LogProbEntropyBackward, aten, Unfused)->Unit(benchmark::kMillisecond)->UseRealTime();

void RmsNorm(benchmark::State& state, bool ours) {
  const c10::NoGradGuard no_grad;
  const at::Tensor x = PatternMatrix(kRows, 4096, 4), weight = PatternMatrix(1, 4096, 2).squeeze(0);
  const auto run = [&](bool fused) {
    return fused ? kernels::RmsNorm(x, weight, 1e-5)
                 : x * at::rsqrt(x.square().mean(-1, true) + 1e-5) * weight;
  };
  if (!at::allclose(run(true), run(false), 1e-4, 1e-5)) return state.SkipWithError("results differ");
  for (auto _ : state) benchmark::DoNotOptimize(run(ours));
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(RmsNorm, ours, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(RmsNorm, aten, false)->Unit(benchmark::kMillisecond)->UseRealTime();

void Rotary(benchmark::State& state, bool ours) {
  const c10::NoGradGuard no_grad;
  const int64_t heads = 32, dim = 128;
  const at::Tensor x = PatternMatrix(kRows, heads * dim, 2).reshape({kRows, heads, dim});
  const at::Tensor angles = PatternMatrix(kRows, dim, 6), cos = angles.cos(), sin = angles.sin();
  const auto run = [&](bool fused) {
    if (fused) return kernels::Rotary(x, cos, sin);
    const auto halves = x.chunk(2, -1);
    return x * cos.unsqueeze(1) + at::cat({-halves[1], halves[0]}, -1) * sin.unsqueeze(1);
  };
  if (!at::allclose(run(true), run(false), 1e-4, 1e-5)) return state.SkipWithError("results differ");
  for (auto _ : state) benchmark::DoNotOptimize(run(ours));
  state.SetItemsProcessed(state.iterations() * kRows);
}
BENCHMARK_CAPTURE(Rotary, ours, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Rotary, aten, false)->Unit(benchmark::kMillisecond)->UseRealTime();

// One decode step of 64 sequences.
void SampleTokens(benchmark::State& state, double top_p) {
  const int64_t rows = 64;
  at::Tensor bits = at::empty({rows}, at::kLong);
  for (int64_t i = 0; i < rows; ++i) bits[i] = static_cast<int64_t>(RandomBits(1, i));
  const at::Tensor logits = PatternMatrix(rows, kVocab, 8);
  for (auto _ : state) benchmark::DoNotOptimize(kernels::SampleTokens(logits, 1.0, {}, bits, top_p));
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK_CAPTURE(SampleTokens, plain, 1.0)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(SampleTokens, top_p, 0.9)->Unit(benchmark::kMillisecond)->UseRealTime();

// Eight sequences of 128 tokens, packed, against ATen's attention on the same as a batch.
void PackedAttention(benchmark::State& state, bool ours) {
  const c10::NoGradGuard no_grad;
  const int64_t sequences = 8, length = 128, heads = 8, dim = 64, tokens = sequences * length;
  const auto make = [&](double scale) {
    return PatternMatrix(tokens, heads * dim, scale).reshape({tokens, heads, dim});
  };
  const at::Tensor q = make(2), k = make(3), v = make(1);
  std::vector<int64_t> cu_seqlens;
  for (int64_t i = 0; i <= sequences; ++i) cu_seqlens.push_back(i * length);
  const auto run = [&](bool packed) {
    if (packed) return kernels::PackedAttention(q, k, v, cu_seqlens, 0.125);
    const auto batch = [&](const at::Tensor& x) {
      return x.reshape({sequences, length, heads, dim}).transpose(1, 2);
    };
    return at::scaled_dot_product_attention(batch(q), batch(k), batch(v), {}, 0.0, /*is_causal=*/true, 0.125)
        .transpose(1, 2)
        .reshape({tokens, heads, dim});
  };
  if (!at::allclose(run(true), run(false), 1e-4, 1e-4)) return state.SkipWithError("results differ");
  for (auto _ : state) benchmark::DoNotOptimize(run(ours));
  state.SetItemsProcessed(state.iterations() * tokens);
}
BENCHMARK_CAPTURE(PackedAttention, ours, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(PackedAttention, aten, false)->Unit(benchmark::kMillisecond)->UseRealTime();

// One decode step of 64 sequences with 256 tokens behind them.
void PagedAttention(benchmark::State& state) {
  const int64_t sequences = 64, blocks_each = 16, block_tokens = 16, heads = 8, dim = 64;
  const int64_t blocks = sequences * blocks_each;
  const at::Tensor cache =
      PatternMatrix(blocks * block_tokens, heads * dim, 1).reshape({blocks, block_tokens, heads, dim});
  const at::Tensor q = PatternMatrix(sequences, heads * dim, 2).reshape({sequences, heads, dim});
  const at::Tensor tables = at::arange(blocks, at::kInt).reshape({sequences, blocks_each});
  const std::vector<int64_t> one(sequences, 1), context(sequences, blocks_each * block_tokens);
  for (auto _ : state)
    benchmark::DoNotOptimize(kernels::PagedAttention(q, cache, cache, tables, one, context, 0.125));
  state.SetItemsProcessed(state.iterations() * sequences);
}
BENCHMARK(PagedAttention)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
