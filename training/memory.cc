#include "training/memory.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/status.h"
#include "training/trainable.h"

namespace rein::training {
namespace {

// Sums, logits and moments are float32 whatever the weights and the precision of products are.
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

// Of a value that a linear layer takes or gives.
int64_t ProductBytes(c10::ScalarType precision) { return static_cast<int64_t>(c10::elementSize(precision)); }

// Bytes a token that one decoder layer (models/llama/decoder.cc) keeps for its backward pass: inputs of both
// norms, which are sums; their results; rotated queries and keys, values, and what attention gives; gate and
// up, and the product of the activated gate with up.
int64_t BytesOfLayer(const models::ModelShape& shape, c10::ScalarType precision) {
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const int64_t products = 2 * shape.hidden + 2 * queries + 2 * keys + 3 * shape.intermediate;
  return 2 * shape.hidden * kFloatBytes + products * ProductBytes(precision);
}

// The weights of a part's linear layers as products take them, which the backward pass wants as well.
int64_t CopiedWeightBytes(const models::VisionLanguageModel& model, const std::string& part,
                          c10::ScalarType precision) {
  if (precision == c10::kFloat) return 0;
  int64_t values = 0;
  for (const models::LinearLayer& layer : model.linear_layers())
    values += model.PartOf(layer.name) == part ? layer.weight.numel() : 0;
  return values * ProductBytes(precision);
}

// Bytes a token that adapters keep: what lies between A and B; with dropout the mask and the dropped input;
// where products are not in float32 another copy of the input.
int64_t BytesOfAdapters(const models::VisionLanguageModel& model, const models::LoraOptions& lora,
                        c10::ScalarType precision) {
  int64_t bytes = 0;
  for (const models::LinearLayer& layer : model.linear_layers()) {
    if (!layer.slot->training_product) continue;
    const int64_t in = layer.weight.size(1), of_input = in * ProductBytes(precision);
    bytes += lora.rank * ProductBytes(precision);
    if (lora.dropout > 0) bytes += in * kFloatBytes + of_input;
    if (precision != c10::kFloat) bytes += of_input;
  }
  return bytes;
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
// linear layers a block keeps those of attention and of the activation, and in float32 the inputs of its
// norms: about half as much again.
int64_t VisionTrainingBytes(const models::VisionLanguageModel& model, int64_t tokens, bool tower_trains,
                            c10::ScalarType precision) {
  const double patches = tower_trains ? PatchesPerToken(model) * static_cast<double>(tokens) : 0;
  const double values = patches * static_cast<double>(SizesOf(model, "vision").sum) +
                        static_cast<double>(tokens * SizesOf(model, "projector").sum);
  const double bytes = 1.375 * static_cast<double>(ProductBytes(precision)) + 0.125 * kFloatBytes;
  return static_cast<int64_t>(bytes * values) + CopiedWeightBytes(model, "projector", precision) +
         (tower_trains ? CopiedWeightBytes(model, "vision", precision) : 0);
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
                             const models::LoraOptions& lora, const PassSize& pass, PassEnd end,
                             c10::ScalarType precision) {
  const models::ModelShape& shape = model.shape();
  const int64_t layer = BytesOfLayer(shape, precision) * pass.tokens;
  const int64_t hidden = shape.hidden * pass.tokens * kFloatBytes;
  // Adapters, and copies of weights.
  const int64_t more =
      BytesOfAdapters(model, lora, precision) * pass.tokens + CopiedWeightBytes(model, "language", precision);
  const int64_t more_of_layer = more / std::max<int64_t>(shape.layers, 1);
  // While the backward pass of a layer runs, it holds about as much again in gradients: in float32, as a
  // processor computes them that has no other products. That is after the gradient of the logits is gone.
  // Embeddings with and without pictures come before the first layer.
  const int64_t in_backward = BytesOfLayer(shape, c10::kFloat) * pass.tokens;
  const int64_t end_bytes = EndBytes(shape, pass, end, 2) + 2 * hidden;
  const int64_t kept = shape.layers * layer + more;
  const int64_t inputs = shape.layers * hidden;
  ActivationMemory memory{.kept = kept + std::max(end_bytes, in_backward),
                          .checkpointed = inputs + std::max(end_bytes, layer + in_backward + more_of_layer)};
  // A gradient is computed beside the sum that it is added to, and in the precision of the product before.
  const int64_t gradient = LargestBytes(trainable.parameters);
  const int64_t beside = 2 * hidden + gradient + (precision == c10::kFloat ? 0 : gradient / 2) +
                         MaskBytes(model, lora, pass.tokens);
  const bool tower_trains = Trains(model, trainable, "vision");
  const int64_t vision =
      trainable.images_frozen ? 0 : VisionTrainingBytes(model, pass.placeholders, tower_trains, precision);
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
                                                PassEnd end, c10::ScalarType precision) {
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
  memory.activations = Activations(outline, trainable, lora, micro_batch, end, precision);
  return memory;
}

int64_t MemoryOfPass(const models::VisionLanguageModel& outline, const PassSize& pass, PassEnd end,
                     c10::ScalarType precision) {
  const models::ModelShape& shape = outline.shape();
  const int64_t hidden = shape.hidden * pass.tokens * kFloatBytes;
  // What a backward pass would want, and what lives for a moment beside it: a result of the feed-forward's
  // width, two of the residual's, and the weights of the layer.
  const int64_t language =
      (BytesOfLayer(shape, precision) + shape.intermediate * ProductBytes(precision) +
       2 * shape.hidden * kFloatBytes) *
          pass.tokens +
      CopiedWeightBytes(outline, "language", precision) / std::max<int64_t>(shape.layers, 1);
  return hidden +
         std::max({language, EndBytes(shape, pass, end, 1), VisionPassBytes(outline, pass.placeholders)});
}

}  // namespace rein::training
