// Greedy decoding of 32 text prompts on the scenes model with continuous batching. Compare items_per_second:
// generated tokens a second.
#include <benchmark/benchmark.h>

#include "actors/rollout/engine/engine.h"
#include "bench/inputs.h"

namespace rein::bench {
namespace {

constexpr int kPrompts = 32;
constexpr int64_t kResponseTokens = 64;

rollout::GenerationRequest Request(int number) {
  rollout::GenerationRequest request;
  request.prompt_id = std::to_string(number);
  for (int t = 0; t < 24; ++t) request.prompt_tokens.push_back(20 + (number * 5 + t * 7) % 100);
  request.samples = {0};
  request.params.temperature = 0;
  request.params.max_response_tokens = kResponseTokens;
  return request;
}

void Decode(benchmark::State& state) {
  const TemporaryFolder folder;
  const ScenesModel scenes = WriteScenesModel(folder.path());
  rollout::EngineOptions options;
  options.max_prompt_tokens = 64;
  options.max_response_tokens = kResponseTokens;
  const auto engine = Require(rollout::Engine::Create(scenes.model.get(), scenes.processor.get(), options));
  int64_t tokens = 0, first = 0;
  for (auto _ : state) {
    // The prefix cache would spare the prefill from the second round on.
    engine->WeightsChanged({1, state.iterations()});
    for (int i = 0; i < kPrompts; ++i) Require(engine->Add(Request(i)));
    tokens = first = 0;
    while (!engine->idle()) {
      Require(engine->Step([&](const rollout::GeneratedSample& sample) {
        tokens += static_cast<int64_t>(sample.tokens.size());
        first += sample.tokens.front();
      }));
    }
  }
  state.SetItemsProcessed(state.iterations() * tokens);
  state.counters["check_first_tokens"] = static_cast<double>(first);
}
BENCHMARK(Decode)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
