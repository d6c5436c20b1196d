// Prompts with pictures through a whole model, and forward and backward passes as in training, on the folder
// given with --model (bench/peers/write_model.py makes one). Compare items_per_second: tokens, padding not
// counted.
#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <benchmark/benchmark.h>

#include "bench/inputs.h"
#include "bench/model_folder.h"
#include "kernels/ops.h"
#include "models/vision_language_model.h"

namespace rein::bench {
namespace {

constexpr int64_t kSequences = 8;
constexpr int64_t kSide = 224, kPatch = 14;  // pixels
constexpr int64_t kTextBefore = 4;

// What bench/peers/forward.py makes, too.
struct Batch {
  models::PackedInput input;
  std::vector<models::ProcessedImage> images;
  std::vector<int64_t> last;         // index of each sequence's last token
  std::vector<int64_t> before_text;  // of the tokens before those that are learnt
  std::vector<int64_t> text;         // ids of the latter
};

int64_t TextLength(int64_t sequence, bool ragged) { return ragged ? 16 + sequence * 61 % 240 : 128; }

models::ProcessedImage Image(const std::string& family, int64_t sequence) {
  models::ProcessedImage image;
  if (family == "qwen2_vl") {
    const int64_t across = kSide / kPatch, values = 3 * 2 * kPatch * kPatch;
    image.pixels = PatternMatrix(across * across, values, 2 + static_cast<double>(sequence));
    image.grid[0] = 1;
    image.grid[1] = image.grid[2] = across;
    image.feature_count = across * across / 4;
  } else {
    image.pixels =
        PatternMatrix(3 * kSide, kSide, 2 + static_cast<double>(sequence)).reshape({1, 3, kSide, kSide});
    image.feature_count = 64;
  }
  return image;
}

Batch MakeBatch(const models::ModelShape& shape, bool ragged) {
  Batch batch;
  std::vector<int64_t> ids;
  batch.input.cu_seqlens = {0};
  for (int64_t i = 0; i < kSequences; ++i) {
    batch.images.push_back(Image(shape.family, i));
    for (int64_t t = 0; t < TextLength(i, ragged); ++t) {
      if (t == kTextBefore) ids.insert(ids.end(), batch.images.back().feature_count, shape.image_token_id);
      const int64_t id = 20 + (i * 5 + t * 7) % 1000, at = static_cast<int64_t>(ids.size());
      if (t > 0) {
        batch.before_text.push_back(at - 1);
        batch.text.push_back(id);
      }
      ids.push_back(id);
    }
    batch.input.cu_seqlens.push_back(static_cast<int64_t>(ids.size()));
    batch.last.push_back(static_cast<int64_t>(ids.size()) - 1);
  }
  batch.input.token_ids = at::tensor(ids, at::kLong);
  return batch;
}

at::Tensor LogitsAt(models::VisionLanguageModel& model, Batch& batch, const std::vector<int64_t>& indices) {
  batch.input.images = model.EncodeImages(batch.images);
  const at::Tensor hidden = Require(model.Forward(batch.input));
  return model.Logits(hidden.index_select(0, at::tensor(indices, at::kLong)));
}

// Loaded once: the benchmarks below change no weight.
models::VisionLanguageModel* Model(benchmark::State& state) {
  if (ModelFolder().empty()) {
    state.SkipWithError("needs --model=FOLDER, for example one that bench/peers/write_model.py has written");
    return nullptr;
  }
  static const std::unique_ptr<models::VisionLanguageModel> model = Require(models::LoadModel(ModelFolder()));
  return model.get();
}

void Prefill(benchmark::State& state, bool ragged) {
  models::VisionLanguageModel* model = Model(state);
  if (model == nullptr) return;
  const at::NoGradGuard no_grad;
  Batch batch = MakeBatch(model->shape(), ragged);
  at::Tensor logits;
  for (auto _ : state) logits = LogitsAt(*model, batch, batch.last);
  state.SetItemsProcessed(state.iterations() * batch.input.token_ids.numel());
  state.counters["check_logits"] = logits.abs().to(at::kDouble).mean().item<double>();
}
BENCHMARK_CAPTURE(Prefill, ragged, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(Prefill, equal, false)->Unit(benchmark::kMillisecond)->UseRealTime();

void ForwardBackward(benchmark::State& state, bool ragged) {
  models::VisionLanguageModel* model = Model(state);
  if (model == nullptr) return;
  const models::NamedTensors parameters = Require(models::TrainableParameters(*model, {}));
  Batch batch = MakeBatch(model->shape(), ragged);
  const at::Tensor targets = at::tensor(batch.text, at::kLong);
  at::Tensor loss;
  for (auto _ : state) {
    for (const auto& [name, tensor] : parameters) tensor.mutable_grad().reset();
    loss = -kernels::LogProbAndEntropy(LogitsAt(*model, batch, batch.before_text), targets, 1.0, {})
                .logprob.mean();
    loss.backward();
  }
  double gradients = 0;
  for (const auto& [name, tensor] : parameters) {
    if (tensor.grad().defined()) gradients += tensor.grad().to(at::kDouble).square().sum().item<double>();
  }
  state.SetItemsProcessed(state.iterations() * batch.input.token_ids.numel());
  state.counters["check_loss"] = loss.item<double>();
  state.counters["check_gradients"] = gradients;
}
BENCHMARK_CAPTURE(ForwardBackward, ragged, true)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK_CAPTURE(ForwardBackward, equal, false)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace rein::bench
