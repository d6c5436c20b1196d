// From a model folder in the page cache to a model. Compare items_per_second: bytes of the folder's weights.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <string>

#include "bench/inputs.h"
#include "bench/model_folder.h"
#include "models/finite.h"
#include "models/folder.h"

namespace rein::bench {
namespace {

int64_t FileBytes(const std::filesystem::path& folder) {
  int64_t bytes = 0;
  for (const auto& file : Require(models::WeightFiles(folder))) {
    bytes += static_cast<int64_t>(std::filesystem::file_size(file));
  }
  return bytes;
}

// A sum over all weights, strided, in float64: what the peer has loaded must be the same.
double Checksum(const models::VisionLanguageModel& model) {
  double sum = 0;
  for (const auto& [name, tensor] : model.tensors()) {
    sum += tensor.view({-1}).slice(0, 0, tensor.numel(), 997).to(at::kDouble).abs().sum().item<double>();
  }
  return sum;
}

void Load(benchmark::State& state, at::ScalarType dtype) {
  if (ModelFolder().empty()) {
    state.SkipWithError("needs --model=FOLDER, for example one that --write_llava=FOLDER has written");
    return;
  }
  double checksum = 0;
  for (auto _ : state) {
    auto model = Require(models::LoadModel(ModelFolder(), {.dtype = dtype}));
    state.PauseTiming();
    checksum = Checksum(*model);
    model.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * FileBytes(ModelFolder()));
  state.counters["check_sum"] = checksum;
}

void LoadModel(benchmark::State& state) { Load(state, at::kBFloat16); }
BENCHMARK(LoadModel)->Unit(benchmark::kMillisecond)->UseRealTime();

void LoadModelAsFloat32(benchmark::State& state) { Load(state, at::kFloat); }
BENCHMARK(LoadModelAsFloat32)->Unit(benchmark::kMillisecond)->UseRealTime();

void FiniteCheck(benchmark::State& state) {
  const at::Tensor values = at::ones({32 << 20}, at::kBFloat16);
  for (auto _ : state) benchmark::DoNotOptimize(models::CountNotFinite(values));
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(values.nbytes()));
}
BENCHMARK(FiniteCheck)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace

}  // namespace rein::bench
