// Weight sync between two ranks on one machine over Gloo. Compare bytes_per_second.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <future>

#include "bench/inputs.h"
#include "collectives/weight_sync.h"

namespace rein::bench {
namespace {

using collectives::NamedTensors;

constexpr int64_t kTensors = 16, kSide = 2048;
constexpr int64_t kBytes = kTensors * kSide * kSide * 4;

NamedTensors Weights(double scale) {
  NamedTensors tensors;
  for (int64_t i = 0; i < kTensors; ++i)
    tensors.emplace_back("layers." + std::to_string(i), PatternMatrix(kSide, kSide, scale));
  return tensors;
}

void WeightFingerprint(benchmark::State& state) {
  const NamedTensors tensors = Weights(1);
  for (auto _ : state) benchmark::DoNotOptimize(collectives::Fingerprint(tensors));
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(WeightFingerprint)->Unit(benchmark::kMillisecond)->UseRealTime();

std::unique_ptr<collectives::WeightGroup> Join(const collectives::Rendezvous& store, int rank) {
  collectives::GroupOptions options;
  options.store_address = store.address();
  options.rank = rank;
  options.world = 2;
  return Require(collectives::JoinWeightGroup(options));
}

// Packing, sending, fingerprints on both sides; two threads stand for the processes.
void GlooWeightSync(benchmark::State& state) {
  const auto store = Require(collectives::ServeRendezvous());
  auto other = std::async(std::launch::async, [&] { return Join(*store, 1); });
  const auto group = Join(*store, 0), other_group = other.get();
  const NamedTensors sent = Weights(1), received = Weights(0);
  auto staged = Require(collectives::StagedWeights::For(received));
  auto sender = Require(collectives::WeightSender::Make(group.get(), sent));
  collectives::WeightReceiver receiver(other_group.get(), &staged);
  collectives::Version version{1, 0};
  for (auto _ : state) {
    ++version.number;
    auto fingerprint = std::async(std::launch::async, [&] { return Require(receiver.Receive(version)); });
    const auto result = Require(sender.Send(version));
    if (fingerprint.get() != result.fingerprint) return state.SkipWithError("fingerprints differ");
  }
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(GlooWeightSync)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
