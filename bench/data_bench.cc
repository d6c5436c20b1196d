// From files and bytes to tensors. Compare bytes_per_second, for pictures items_per_second.
#include <benchmark/benchmark.h>

#include "bench/inputs.h"
#include "data/image.h"
#include "models/safetensors.h"

namespace rein::bench {
namespace {

// A picture as it comes from a data set, to the pixels of the scenes model.
void DecodeAndPreprocessImage(benchmark::State& state) {
  const TemporaryFolder folder;
  const ScenesModel scenes = WriteScenesModel(folder.path());
  const std::string png = ScenePng(static_cast<int>(state.range(0)));
  for (auto _ : state) {
    const data::RgbImage image = Require(data::DecodeImage(png));
    benchmark::DoNotOptimize(Require(scenes.processor->ProcessImage(image)));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(DecodeAndPreprocessImage)->Arg(336)->Arg(1024)->Unit(benchmark::kMillisecond)->UseRealTime();

void Tokenize(benchmark::State& state) {
  const TemporaryFolder folder;
  const ScenesModel scenes = WriteScenesModel(folder.path());
  std::string text;
  while (text.size() < 100000)
    text += "How do I handle the red circle in this picture safely? It is next to 12 green squares.\n";
  size_t tokens = 0;
  for (auto _ : state) tokens = Require(scenes.processor->EncodeRaw(text, {})).size();
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(text.size()));
  state.counters["check_tokens"] = static_cast<double>(tokens);
}
BENCHMARK(Tokenize)->Unit(benchmark::kMillisecond)->UseRealTime();

// From the page cache.
void LoadSafetensors(benchmark::State& state) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path() / "weights.safetensors";
  models::NamedTensors tensors;
  for (int i = 0; i < 16; ++i)
    tensors.emplace_back("tensor" + std::to_string(i), PatternMatrix(1024, 1024, 1));
  Require(models::WriteSafetensors(file, tensors));
  for (auto _ : state) benchmark::DoNotOptimize(Require(models::ReadSafetensors(file)));
  state.SetBytesProcessed(state.iterations() * 16 * 4 * 1024 * 1024);
}
BENCHMARK(LoadSafetensors)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
