#include "models/lora.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "kernels/ops.h"
#include "models/json.h"
#include "models/safetensors.h"

namespace rein::models {
namespace {

constexpr char kScoreHead[] = "score_head";
constexpr char kConfigFile[] = "adapter_config.json";
constexpr char kWeightsFile[] = "adapter_model.safetensors";
constexpr char kPeftPrefix[] = "base_model.model.";
constexpr uint64_t kStride = 0x9e3779b97f4a7c15ull;

// `*` stands for any characters, also none.
bool MatchesGlob(absl::string_view pattern, absl::string_view text) {
  const size_t star = pattern.find('*');
  if (star == absl::string_view::npos) return pattern == text;
  if (!absl::ConsumePrefix(&text, pattern.substr(0, star))) return false;
  const absl::string_view rest = pattern.substr(star + 1);
  for (size_t skipped = 0; skipped <= text.size(); ++skipped) {
    if (MatchesGlob(rest, text.substr(skipped))) return true;
  }
  return false;
}

bool Matches(absl::string_view target, absl::string_view layer) {
  while (true) {
    if (MatchesGlob(target, layer)) return true;
    const size_t dot = layer.find('.');
    if (dot == absl::string_view::npos) return false;
    layer.remove_prefix(dot + 1);
  }
}

std::string LastPart(const std::string& layer) { return layer.substr(layer.rfind('.') + 1); }

std::string Candidates(const std::vector<LinearLayer>& layers) {
  std::set<std::string> ends;
  for (const LinearLayer& layer : layers) ends.insert(LastPart(layer.name));
  return absl::StrCat("layers end in ", absl::StrJoin(ends, ", "), "; the first is ", layers.front().name);
}

absl::StatusOr<std::vector<LinearLayer>> ChooseLayers(const VisionLanguageModel& model,
                                                      const std::vector<std::string>& targets,
                                                      const std::vector<std::string>& frozen_parts) {
  std::vector<LinearLayer> candidates = model.linear_layers();
  std::erase_if(candidates, [&](const LinearLayer& layer) {
    const std::string part = model.PartOf(layer.name);
    return std::find(frozen_parts.begin(), frozen_parts.end(), part) != frozen_parts.end() ||
           (targets.empty() && part != "language");
  });
  if (candidates.empty()) {
    return absl::InvalidArgumentError("lora: freeze leaves no linear layer to adapt: remove an entry");
  }
  std::vector<bool> chosen(candidates.size(), targets.empty());
  for (const std::string& target : targets) {
    bool found = false;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (!Matches(target, candidates[i].name)) continue;
      chosen[i] = found = true;
    }
    if (found) continue;
    return absl::InvalidArgumentError(absl::StrCat("lora.targets: \"", target,
                                                   "\" matches no linear layer that trains; their ",
                                                   Candidates(candidates)));
  }
  std::vector<LinearLayer> layers;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (chosen[i]) layers.push_back(std::move(candidates[i]));
  }
  return layers;
}

absl::Status CheckOptions(const LoraOptions& options) {
  if (options.rank < 1)
    return absl::InvalidArgumentError(absl::StrCat("lora.rank must be at least 1, not ", options.rank));
  if (!(options.alpha > 0))
    return absl::InvalidArgumentError(absl::StrCat("lora.alpha must be more than 0, not ", options.alpha));
  if (!(options.dropout >= 0 && options.dropout < 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("lora.dropout must be from 0 to less than 1, not ", options.dropout));
  }
  return absl::OkStatus();
}

at::Tensor DrawUniform(at::IntArrayRef shape, uint64_t key, double bound) {
  at::Tensor values = at::empty(shape, at::kFloat);
  CounterRandom random(key);
  float* cursor = values.data_ptr<float>();
  for (int64_t i = 0; i < values.numel(); ++i)
    cursor[i] = static_cast<float>((2 * random.Uniform() - 1) * bound);
  return values;
}

// x >> bits without the sign.
at::Tensor ShiftRight(const at::Tensor& x, int64_t bits) {
  return at::bitwise_and(at::bitwise_right_shift(x, bits), (int64_t{1} << (64 - bits)) - 1);
}

// Mix64 of base/hash.h on int64, which wraps around.
at::Tensor Mix(at::Tensor x) {
  x = x + static_cast<int64_t>(kStride);
  x = at::bitwise_xor(x, ShiftRight(x, 30)) * static_cast<int64_t>(0xbf58476d1ce4e5b9ull);
  x = at::bitwise_xor(x, ShiftRight(x, 27)) * static_cast<int64_t>(0x94d049bb133111ebull);
  return at::bitwise_xor(x, ShiftRight(x, 31));
}

std::string StoredName(const VisionLanguageModel& model, const std::string& parameter) {
  for (const char* end : {".lora_A.weight", ".lora_B.weight"}) {
    absl::string_view layer = parameter;
    if (!absl::ConsumeSuffix(&layer, end)) continue;
    return absl::StrCat(kPeftPrefix, PeftLayerName(model, std::string(layer)), end);
  }
  return kPeftPrefix + parameter;
}

}  // namespace

struct Lora::Adapter {
  std::string layer;
  at::Tensor live, base;  // [out, in]
  at::Tensor a, b;        // [rank, in], [out, rank]
  double scale = 0;
  uint64_t key = 0;
  LinearLayer::Slot slot;
  const Dropout* dropout = nullptr;

  at::Tensor Product(const at::Tensor& x, const at::Tensor& bias) const {
    const at::Tensor correction = kernels::Linear(kernels::Linear(Dropped(x), a), b);
    return kernels::Linear(x, base, bias) + correction * scale;
  }
  at::Tensor Dropped(const at::Tensor& x) const {
    if (dropout->share == 0) return x;
    return x * DropoutMask(Mix64(key ^ dropout->pass_key), dropout->share, x.sizes(), x.device());
  }
};

at::Tensor DropoutMask(uint64_t key, double share, at::IntArrayRef shape, at::Device device) {
  const at::NoGradGuard no_grad;
  const int64_t elements = c10::multiply_integers(shape);
  const at::Tensor counters = at::arange(elements, at::TensorOptions(at::kLong).device(device));
  const at::Tensor bits = Mix(counters * static_cast<int64_t>(kStride) + static_cast<int64_t>(key));
  const auto threshold = static_cast<int64_t>(std::llround((share - 0.5) * 0x1p63) * 2);
  return bits.ge(threshold).to(at::kFloat).mul_(1 / (1 - share)).view(shape);
}

std::string PeftLayerName(const VisionLanguageModel& model, const std::string& layer) {
  absl::string_view name = layer;
  // Idefics3's files name its text model as its modules do.
  if (absl::StartsWith(name, "model.text_model.")) return layer;
  if (model.PartOf(layer) == "language") {
    const size_t layers = name.find("layers.");
    return absl::StrCat("model.language_model.",
                        layers == absl::string_view::npos ? name : name.substr(layers));
  }
  absl::ConsumePrefix(&name, "model.");
  if (absl::ConsumePrefix(&name, "vision_tower.vision_model."))
    return absl::StrCat("model.vision_tower.", name);
  return absl::StrCat("model.", name);
}

Lora::Lora(VisionLanguageModel* model, const LoraOptions& options)
    : model_(model), options_(options), dropout_{.share = options.dropout} {}

absl::StatusOr<std::unique_ptr<Lora>> Lora::Attach(VisionLanguageModel* model, const LoraOptions& options,
                                                   const std::vector<std::string>& frozen_parts) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  REIN_ASSIGN_OR_RETURN(const std::vector<LinearLayer> layers,
                        ChooseLayers(*model, options.targets, frozen_parts));
  for (const LinearLayer& layer : layers) {
    if (layer.slot->training_product)
      return absl::FailedPreconditionError(absl::StrCat("lora: ", layer.name, " has an adapter already"));
  }
  std::unique_ptr<Lora> lora(new Lora(model, options));
  for (const auto& [name, tensor] : model->tensors())
    tensor.requires_grad_(model->PartOf(name) == kScoreHead);
  for (const LinearLayer& layer : layers) lora->Add(layer);
  for (const auto& [name, tensor] : model->tensors()) {
    if (model->PartOf(name) != kScoreHead) continue;
    lora->parameters_.emplace_back(name, tensor);
    lora->score_head_ = true;
  }
  lora->StartPass(0, 0);
  return lora;
}

void Lora::Add(const LinearLayer& layer) {
  auto adapter = std::make_unique<Adapter>();
  adapter->layer = layer.name;
  adapter->live = layer.weight.detach();
  adapter->base = adapter->live.clone();
  adapter->scale = options_.alpha / static_cast<double>(options_.rank);
  adapter->key = KeyOf(layer.name, options_.seed);
  adapter->slot = layer.slot;
  adapter->dropout = &dropout_;
  const int64_t out = layer.weight.size(0), in = layer.weight.size(1);
  const at::Tensor drawn =
      DrawUniform({options_.rank, in}, adapter->key, 1 / std::sqrt(static_cast<double>(in)));
  adapter->a = drawn.to(layer.weight.options()).requires_grad_(true);
  adapter->b = at::zeros({out, options_.rank}, layer.weight.options()).requires_grad_(true);
  parameters_.emplace_back(layer.name + ".lora_A.weight", adapter->a);
  parameters_.emplace_back(layer.name + ".lora_B.weight", adapter->b);
  layer.slot->training_product = [adapter = adapter.get()](const at::Tensor& x, const at::Tensor& bias) {
    return adapter->Product(x, bias);
  };
  adapters_.push_back(std::move(adapter));
}

Lora::~Lora() {
  for (const auto& adapter : adapters_) adapter->slot->training_product = nullptr;
}

std::vector<at::Tensor> Lora::base_weights() const {
  std::vector<at::Tensor> weights;
  for (const auto& adapter : adapters_) weights.push_back(adapter->base);
  return weights;
}

void Lora::StartPass(int64_t step, int64_t pass) {
  dropout_.pass_key = Mix64(Mix64(static_cast<uint64_t>(step)) ^ static_cast<uint64_t>(pass));
}

void Lora::Merge() {
  const at::NoGradGuard no_grad;
  for (const auto& adapter : adapters_) {
    at::addmm_out(adapter->live, adapter->base, adapter->b, adapter->a, 1, adapter->scale);
  }
}

std::string Lora::ConfigJson(const std::filesystem::path& base) const {
  Json targets = Json::array();
  for (const auto& adapter : adapters_) targets.push_back(PeftLayerName(*model_, adapter->layer));
  const Json config = {{"peft_type", "LORA"},
                       {"task_type", nullptr},
                       {"base_model_name_or_path", base.string()},
                       {"r", options_.rank},
                       {"lora_alpha", options_.alpha},
                       {"lora_dropout", options_.dropout},
                       {"target_modules", targets},
                       {"modules_to_save", score_head_ ? Json::array({kScoreHead}) : Json()},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"inference_mode", true},
                       {"init_lora_weights", true},
                       {"use_rslora", false},
                       {"use_dora", false}};
  return config.dump(2) + "\n";
}

absl::Status Lora::Save(const std::filesystem::path& folder, const std::filesystem::path& base) const {
  REIN_RETURN_IF_ERROR(MakeFolder(folder));
  NamedTensors stored;
  for (const auto& [name, tensor] : parameters_)
    stored.emplace_back(StoredName(*model_, name), tensor.detach());
  REIN_RETURN_IF_ERROR(WriteSafetensors(folder / kWeightsFile, stored, {{"format", "pt"}}));
  return WriteFileAtomically(folder / kConfigFile, ConfigJson(base));
}

absl::Status Lora::CheckConfig(const std::filesystem::path& file) const {
  REIN_ASSIGN_OR_RETURN(const Json json, ReadJsonObject(file, uint64_t{16} << 20));
  const Fields fields(json, file.string());
  REIN_ASSIGN_OR_RETURN(const int64_t rank, fields.Int("r", 0, 1, int64_t{1} << 32));
  REIN_ASSIGN_OR_RETURN(const double alpha, fields.Number("lora_alpha", 0, 0, 1e12));
  if (rank != options_.rank)
    return fields.Error("r", absl::StrCat("is ", rank, "; this training has lora.rank ", options_.rank));
  if (alpha != options_.alpha) {
    return fields.Error("lora_alpha",
                        absl::StrCat("is ", alpha, "; this training has lora.alpha ", options_.alpha));
  }
  return absl::OkStatus();
}

absl::StatusOr<NamedTensors> Lora::Read(const std::filesystem::path& folder) const {
  REIN_RETURN_IF_ERROR(CheckConfig(folder / kConfigFile));
  REIN_ASSIGN_OR_RETURN(const NamedTensors tensors, ReadSafetensors(folder / kWeightsFile));
  const std::map<std::string, at::Tensor> stored(tensors.begin(), tensors.end());
  const std::string where = (folder / kWeightsFile).string();
  if (stored.size() != parameters_.size()) {
    return absl::InvalidArgumentError(absl::StrCat(where, " holds ", stored.size(), " tensors, expected ",
                                                   parameters_.size(), ": it has other lora.targets"));
  }
  NamedTensors values;
  for (const auto& [name, tensor] : parameters_) {
    const auto found = stored.find(StoredName(*model_, name));
    if (found == stored.end() || found->second.sizes() != tensor.sizes()) {
      return absl::InvalidArgumentError(absl::StrCat(where, ": ", StoredName(*model_, name),
                                                     " is missing or of another shape: it belongs to another "
                                                     "model or has other lora.targets"));
    }
    values.emplace_back(name, found->second);
  }
  return values;
}

void Lora::Set(const NamedTensors& values) {
  const at::NoGradGuard no_grad;
  for (size_t i = 0; i < values.size(); ++i) parameters_[i].second.copy_(values[i].second);
  Merge();
}

}  // namespace rein::models
