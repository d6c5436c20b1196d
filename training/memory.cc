#include "training/memory.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/status.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

// Activations, logits and moments are float32 whatever the weights are.
constexpr int64_t kFloatBytes = 4;

int64_t Bytes(const at::Tensor& tensor) { return static_cast<int64_t>(tensor.nbytes()); }

// Inputs and outputs of the linear layers of a part, a token.
struct LayerSizes {
  int64_t sum = 0;
  int64_t largest = 0;
};

LayerSizes SizesOf(const models::VisionLanguageModel& model, const std::string& part) {
  LayerSizes sizes;
  for (const models::LinearLayer& layer : model.linear_layers()) {
    if (model.PartOf(layer.name) != part) continue;
    const int64_t size = layer.weight.size(0) + layer.weight.size(1);
    sizes.sum += size;
    sizes.largest = std::max(sizes.largest, size);
  }
  return sizes;
}

// Values a token that one decoder layer (models/llama/decoder.cc) keeps for its backward pass: inputs and
// results of both norms; rotated queries and keys, values, and what attention gives; gate and up, and the
// product of the activated gate with up.
int64_t ValuesOfLayer(const models::ModelShape& shape) {
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  return 4 * shape.hidden + 2 * queries + 2 * keys + 3 * shape.intermediate;
}

// Values a token that adapters keep: what lies between A and B, and with dropout mask and dropped input.
int64_t ValuesOfAdapters(const models::VisionLanguageModel& model, const models::LoraOptions& lora) {
  int64_t values = 0;
  for (const models::LinearLayer& layer : model.linear_layers()) {
    if (!layer.slot->training_product) continue;
    values += lora.rank + (lora.dropout > 0 ? 2 * layer.weight.size(1) : 0);
  }
  return values;
}

// While a dropout mask is drawn (models/lora.cc: DropoutMask): three int64 numbers for every element.
int64_t MaskBytes(const models::VisionLanguageModel& model, const models::LoraOptions& lora, int64_t tokens) {
  int64_t widest = 0;
  for (const models::LinearLayer& layer : model.linear_layers()) {
    if (layer.slot->training_product && lora.dropout > 0) widest = std::max(widest, layer.weight.size(1));
  }
  return 3 * static_cast<int64_t>(sizeof(int64_t)) * widest * tokens;
}

// Logits, and with gradients also theirs.
int64_t EndBytes(const models::ModelShape& shape, const PassSize& pass, PassEnd end, int64_t copies) {
  return end == PassEnd::kLogits ? copies * pass.ends * shape.vocab_size * kFloatBytes : 0;
}

// Vision tower and projector without gradients: what the widest layer takes
// and gives, and what the block around it holds beside that.
int64_t VisionPassBytes(const models::VisionLanguageModel& model, int64_t tokens) {
  const double patches = PatchesPerToken(model) * static_cast<double>(tokens);
  const int64_t projector = tokens * SizesOf(model, "projector").largest;
  const auto tower =
      static_cast<int64_t>(patches * 3 * static_cast<double>(SizesOf(model, "vision").largest));
  return std::max(projector, tower) * kFloatBytes;
}

// The same with gradients, which begin with the first part that trains. Beside the inputs and results of its
// linear layers a block keeps those of its norms, of attention and of the activation: about half as much
// again.
int64_t VisionTrainingBytes(const models::VisionLanguageModel& model, int64_t tokens, bool tower_trains) {
  const double patches = tower_trains ? PatchesPerToken(model) * static_cast<double>(tokens) : 0;
  const double values = patches * static_cast<double>(SizesOf(model, "vision").sum) +
                        static_cast<double>(tokens * SizesOf(model, "projector").sum);
  return static_cast<int64_t>(1.5 * values) * kFloatBytes;
}

bool Trains(const models::VisionLanguageModel& model, const Trainable& trainable, const std::string& part) {
  return std::any_of(trainable.parameters.begin(), trainable.parameters.end(),
                     [&](const auto& named) { return model.PartOf(named.first) == part; });
}

int64_t LargestBytes(const models::NamedTensors& tensors) {
  int64_t largest = 0;
  for (const auto& [name, tensor] : tensors) largest = std::max(largest, Bytes(tensor));
  return largest;
}

ActivationMemory Activations(const models::VisionLanguageModel& model, const Trainable& trainable,
                             const models::LoraOptions& lora, const PassSize& pass, PassEnd end) {
  const models::ModelShape& shape = model.shape();
  const int64_t layer = ValuesOfLayer(shape) * pass.tokens * kFloatBytes;
  const int64_t adapters = ValuesOfAdapters(model, lora) * pass.tokens * kFloatBytes;
  const int64_t hidden = shape.hidden * pass.tokens * kFloatBytes;
  const int64_t adapters_of_layer = adapters / std::max<int64_t>(shape.layers, 1);
  // While the backward pass of a layer runs, it holds about as much again in gradients. That is after the
  // gradient of the logits is gone. Embeddings with and without pictures come before the first layer.
  const int64_t end_bytes = EndBytes(shape, pass, end, 2) + 2 * hidden;
  const int64_t kept = shape.layers * layer + adapters;
  const int64_t inputs = shape.layers * hidden;
  ActivationMemory memory{.kept = kept + std::max(end_bytes, layer),
                          .checkpointed = inputs + std::max(end_bytes, 2 * layer + adapters_of_layer)};
  // A gradient is computed beside the sum that it is added to.
  const int64_t beside =
      2 * hidden + LargestBytes(trainable.parameters) + MaskBytes(model, lora, pass.tokens);
  const bool tower_trains = Trains(model, trainable, "vision");
  const int64_t vision =
      trainable.images_frozen ? 0 : VisionTrainingBytes(model, pass.placeholders, tower_trains);
  for (int64_t* bytes : {&memory.kept, &memory.checkpointed}) {
    *bytes = std::max(*bytes + beside + vision, VisionPassBytes(model, pass.placeholders));
  }
  return memory;
}

}  // namespace

double PatchesPerToken(const models::VisionLanguageModel& outline) {
  int64_t width = 0;  // of the tower: rows of its patch embedding, the tensor of a convolution
  for (const auto& [name, tensor] : outline.tensors()) {
    if (width == 0 && tensor.dim() >= 4 && outline.PartOf(name) == "vision") width = tensor.size(0);
  }
  if (width == 0) return 0;
  for (const models::LinearLayer& layer : outline.linear_layers()) {
    if (outline.PartOf(layer.name) == "projector")
      return static_cast<double>(layer.weight.size(1)) / static_cast<double>(width);
  }
  return 1;
}

ParameterMemory MemoryOfWeights(const models::VisionLanguageModel& outline) {
  ParameterMemory memory;
  for (const auto& [name, tensor] : outline.tensors()) {
    memory.parameters += tensor.numel();
    memory.weights += Bytes(tensor);
  }
  return memory;
}

absl::StatusOr<TrainingMemory> MemoryOfTraining(models::VisionLanguageModel& outline,
                                                const std::vector<std::string>& freeze,
                                                const models::LoraOptions& lora, const PassSize& micro_batch,
                                                PassEnd end) {
  REIN_ASSIGN_OR_RETURN(const Trainable trainable, PrepareTraining(outline, freeze, lora));
  TrainingMemory memory{.parameters = MemoryOfWeights(outline)};
  ParameterMemory& parameters = memory.parameters;
  const std::map<std::string, at::Tensor> own(outline.tensors().begin(), outline.tensors().end());
  for (const auto& [name, tensor] : trainable.parameters) {
    parameters.trained += tensor.numel();
    parameters.gradients += Bytes(tensor);
    parameters.optimizer += 2 * tensor.numel() * kFloatBytes;
    if (!own.contains(name)) parameters.weights += Bytes(tensor);
  }
  for (const models::LinearLayer& layer : outline.linear_layers()) {
    if (layer.slot->training_product) parameters.weights += Bytes(layer.weight);
  }
  memory.activations = Activations(outline, trainable, lora, micro_batch, end);
  return memory;
}

int64_t MemoryOfPass(const models::VisionLanguageModel& outline, const PassSize& pass, PassEnd end) {
  const models::ModelShape& shape = outline.shape();
  const int64_t hidden = shape.hidden * pass.tokens * kFloatBytes;
  // What a backward pass would want, and what lives for a moment beside it: a result of the feed-forward's
  // width and two of the residual's.
  const int64_t language =
      (ValuesOfLayer(shape) + shape.intermediate + 2 * shape.hidden) * pass.tokens * kFloatBytes;
  return hidden +
         std::max({language, EndBytes(shape, pass, end, 1), VisionPassBytes(outline, pass.placeholders)});
}

}  // namespace rein::training
