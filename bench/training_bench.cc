// One optimizer step of the policy on the scenes model. Compare items_per_second: response tokens that count,
// a second.
#include <benchmark/benchmark.h>

#include <algorithm>

#include "bench/inputs.h"
#include "training/rl_trainer.h"

namespace rein::bench {
namespace {

constexpr int64_t kSequences = 32;

// Responses of 8 to 95 tokens; `padded` fills all up to the longest, as a trainer without packing computes.
std::vector<training::PolicySequence> Batch(bool padded) {
  std::vector<training::PolicySequence> batch(kSequences);
  for (int64_t i = 0; i < kSequences; ++i) {
    training::PolicySequence& item = batch[i];
    const size_t length = padded ? 95 : 8 + i * 29 % 88;
    item.sequence.id = std::to_string(i);
    item.sequence.prompt.assign(24, 40);
    for (size_t t = 0; t < length; ++t)
      item.sequence.response.push_back(static_cast<int32_t>(20 + (i * 5 + t * 7) % 100));
    item.behaviour_logprobs.assign(length, -5.0f);
    item.advantages.assign(length, i % 2 == 0 ? 1.0f : -1.0f);
    item.token_weight = 1e-3;
  }
  return batch;
}

int64_t CountedTokens() {
  int64_t tokens = 0;
  for (const auto& item : Batch(false)) tokens += static_cast<int64_t>(item.sequence.response.size());
  return tokens;
}

void PolicyStep(benchmark::State& state, bool padded) {
  const TemporaryFolder folder;
  const ScenesModel scenes = WriteScenesModel(folder.path());
  const auto trainer = Require(training::PolicyTrainer::Create(
      scenes.model.get(), scenes.processor->AllowedTokens(scenes.model->shape().vocab_size), {}));
  const auto batch = Batch(padded);
  for (auto _ : state)
    benchmark::DoNotOptimize(Require(trainer->Step(batch, {}, /*total_steps=*/1000, [](int, int) {})));
  state.SetItemsProcessed(state.iterations() * CountedTokens());
}
BENCHMARK_CAPTURE(PolicyStep, packed, false)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(PolicyStep, padded, true)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
