// From a parquet file of preference pairs to batches, and a reward model that is trained on them, on the
// folder given with --model (bench/peers/write_pairs.py makes one). Compare items_per_second: pairs.
#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/inputs.h"
#include "bench/model_folder.h"
#include "training/pairs.h"
#include "training/supervised.h"

namespace rein::bench {
namespace {

constexpr char kNeedsFolder[] = "needs --model=FOLDER that bench/peers/write_pairs.py has written";

std::filesystem::path PairsFile() { return ModelFolder() / "pairs.parquet"; }

// Both answers of some pairs behind their prompts, end to end, and the pictures.
struct Batch {
  at::Tensor token_ids;  // int64 [T]
  std::vector<int64_t> cu_seqlens;
  at::Tensor pixels;  // float32 [pairs, 3, H, W]
};

Batch MakeBatch(const training::Corpus& corpus, const training::OfflineTraining::Rows& rows) {
  Batch batch{{}, {0}, {}};
  std::vector<int64_t> tokens;
  std::vector<models::ProcessedImage> pictures;
  for (const training::Sequence& sequence :
       Require(training::PairSequences(corpus, rows, training::MoreHelpfulAnswer))) {
    tokens.insert(tokens.end(), sequence.prompt.begin(), sequence.prompt.end());
    tokens.insert(tokens.end(), sequence.response.begin(), sequence.response.end());
    batch.cu_seqlens.push_back(static_cast<int64_t>(tokens.size()));
    // The second half has the pictures of the first.
    if (pictures.size() < rows.size()) pictures.push_back(*sequence.images[0]);
  }
  batch.token_ids = at::tensor(tokens, at::kLong);
  batch.pixels = models::Numbers(pictures);
  return batch;
}

// Reads the file as a trainer does and calls `visit` for each of its batches, in the order of the rows.
template <typename Visit>
int64_t ForEachBatch(const models::Processor& processor, const models::ModelShape& shape, Visit visit) {
  constexpr size_t kBatch = 32;
  const auto corpus =
      Require(training::Corpus::Load(PairsFile(), processor, shape, /*limits=*/{}, data::Need::kHelpfulPair));
  const size_t size = corpus.rows().size();
  for (size_t begin = 0; begin < size; begin += kBatch) {
    training::OfflineTraining::Rows rows;
    for (size_t i = begin; i < std::min(size, begin + kBatch); ++i) rows.push_back(&corpus.rows()[i]);
    visit(MakeBatch(corpus, rows));
  }
  return static_cast<int64_t>(size);
}

// What bench/peers/pairs_to_batches.py sums up, too.
struct Sums {
  double tokens = 0, ids = 0, values = 0, pixels = 0;

  void Add(const Batch& batch) {
    const int64_t* ids_of_batch = batch.token_ids.const_data_ptr<int64_t>();
    for (size_t i = 0; i + 1 < batch.cu_seqlens.size(); ++i) {
      const int64_t begin = batch.cu_seqlens[i];
      for (int64_t t = begin; t < batch.cu_seqlens[i + 1]; ++t)
        ids += static_cast<double>(ids_of_batch[t] * (1 + (t - begin) % 97));
    }
    tokens += static_cast<double>(batch.token_ids.numel());
    values += static_cast<double>(batch.pixels.numel());
    pixels += batch.pixels.abs().sum(at::kDouble).item<double>();
  }
};

void ParquetToBatches(benchmark::State& state) {
  if (ModelFolder().empty()) return state.SkipWithError(kNeedsFolder);
  const auto processor = Require(models::Processor::Load(ModelFolder()));
  const models::ModelShape shape = Require(models::LoadModel(ModelFolder()))->shape();
  Sums sums;
  const int64_t pairs = ForEachBatch(*processor, shape, [&sums](const Batch& batch) { sums.Add(batch); });
  for (auto _ : state)
    ForEachBatch(*processor, shape, [](const Batch& batch) { benchmark::DoNotOptimize(batch); });
  state.SetItemsProcessed(state.iterations() * pairs);
  state.counters["check_exact_tokens"] = sums.tokens;
  state.counters["check_exact_ids"] = sums.ids;
  state.counters["check_exact_values"] = sums.values;
  state.counters["check_pixels"] = sums.pixels / sums.values;
}
BENCHMARK(ParquetToBatches)->Unit(benchmark::kMillisecond)->UseRealTime();

// The settings of bench/peers/train_reward.py.
training::PreferenceOptions RewardOptions(const std::filesystem::path& output) {
  training::PreferenceOptions options;
  options.model = ModelFolder();
  options.data = PairsFile();
  options.output = output;
  options.steps = 12;
  options.batch = 8;
  options.optimizer.learning_rate = 3e-4;
  options.optimizer.warmup_ratio = 0;
  return options;
}

// Steps alone are timed, without the first one, which warms up, and the last one, after which is evaluated.
void TrainReward(benchmark::State& state) {
  using Clock = std::chrono::steady_clock;
  if (ModelFolder().empty()) return state.SkipWithError(kNeedsFolder);
  std::vector<double> losses;
  int64_t pairs = 0;
  for (auto _ : state) {
    const TemporaryFolder folder;
    const training::PreferenceOptions options = RewardOptions(folder.path() / "reward");
    std::vector<Clock::time_point> ends;
    losses.clear();
    Require(training::TrainRewardModel(options, [&](const training::TrainProgress& progress) {
      losses.push_back(progress.metrics.at("loss"));
      ends.push_back(Clock::now());
    }));
    state.SetIterationTime(std::chrono::duration<double>(ends[ends.size() - 2] - ends[0]).count());
    pairs += options.batch * (options.steps - 2);
  }
  state.SetItemsProcessed(pairs);
  for (size_t step = 0; step < losses.size(); ++step)
    state.counters[absl::StrCat("check_loss_", step)] = losses[step];
}
BENCHMARK(TrainReward)->Unit(benchmark::kMillisecond)->UseManualTime();

}  // namespace
}  // namespace rein::bench
