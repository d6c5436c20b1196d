// Advantages of one batch on plain spans. Compare items_per_second: tokens a second.
#include <benchmark/benchmark.h>

#include "bench/inputs.h"
#include "learning/advantage.h"

namespace rein::bench {
namespace {

constexpr int64_t kResponses = 512;

std::vector<std::vector<float>> Columns(int64_t shift) {
  std::vector<std::vector<float>> columns;
  for (int64_t i = 0; i < kResponses; ++i) {
    std::vector<float>& column = columns.emplace_back(128 + i * 7 % 384);
    for (size_t t = 0; t < column.size(); ++t) column[t] = static_cast<float>(Pattern(i + shift, t));
  }
  return columns;
}

int64_t Tokens(const std::vector<std::vector<float>>& columns) {
  int64_t tokens = 0;
  for (const auto& column : columns) tokens += static_cast<int64_t>(column.size());
  return tokens;
}

double Mean(const std::vector<std::vector<float>>& columns) {
  double sum = 0;
  for (const auto& column : columns) {
    for (const float value : column) sum += value;
  }
  return sum / static_cast<double>(Tokens(columns));
}

void Gae(benchmark::State& state) {
  const auto rewards = Columns(0), values = Columns(17);
  std::vector<std::vector<float>> advantages(kResponses);
  for (auto _ : state) {
    for (int64_t i = 0; i < kResponses; ++i) {
      advantages[i] = learning::Gae(rewards[i], values[i], 0.99, 0.95).advantages;
    }
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * Tokens(rewards));
  state.counters["check_advantage"] = Mean(advantages);
}
BENCHMARK(Gae)->Unit(benchmark::kMillisecond);

void MixAdvantages(benchmark::State& state) {
  const auto reward = Columns(0);
  const std::vector<std::vector<std::vector<float>>> costs = {Columns(3), Columns(5)};
  const std::vector<double> lambdas = {0.7, 2.0};
  for (auto _ : state) {
    for (int64_t i = 0; i < kResponses; ++i) {
      const std::vector<std::vector<float>> of_response = {costs[0][i], costs[1][i]};
      benchmark::DoNotOptimize(learning::MixAdvantages(reward[i], of_response, lambdas));
    }
  }
  state.SetItemsProcessed(state.iterations() * Tokens(reward));
}
BENCHMARK(MixAdvantages)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rein::bench
