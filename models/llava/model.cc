#include "models/llava/model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "base/status.h"
#include "models/llava/names.h"

namespace rein::models {
namespace {

constexpr char kScoreHead[] = "score_head.weight";
constexpr char kHead[] = "language_model.lm_head.weight";

std::string FirstThree(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(3, names.size());
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
}

// Positions 0, 1, ... of the new tokens of each sequence, from its past on.
at::Tensor Positions(absl::Span<const int64_t> pasts, absl::Span<const int64_t> lengths) {
  int64_t total = 0;
  for (int64_t length : lengths) total += length;
  at::Tensor positions = at::empty({total}, at::kLong);
  int64_t* cursor = positions.data_ptr<int64_t>();
  for (size_t i = 0; i < lengths.size(); ++i) {
    for (int64_t j = 0; j < lengths[i]; ++j) *cursor++ = pasts[i] + j;
  }
  return positions;
}

absl::Status CheckLengths(const PackedInput& input, int64_t max_positions) {
  const auto& offsets = input.cu_seqlens;
  if (input.token_ids.dim() != 1 || input.token_ids.scalar_type() != at::kLong) {
    return absl::InvalidArgumentError("token_ids must be int64 with one dimension");
  }
  if (offsets.size() < 2 || offsets.front() != 0 || offsets.back() != input.token_ids.numel()) {
    return absl::InvalidArgumentError(
        absl::StrCat("cu_seqlens must run from 0 to the ", input.token_ids.numel(), " tokens"));
  }
  for (size_t i = 1; i < offsets.size(); ++i) {
    const int64_t length = offsets[i] - offsets[i - 1];
    if (length < 1)
      return absl::InvalidArgumentError(absl::StrCat("sequence ", i - 1, " is empty or cu_seqlens decrease"));
    if (length > max_positions) {
      return absl::InvalidArgumentError(absl::StrCat("sequence ", i - 1, " has ", length,
                                                     " tokens, the model takes ", max_positions,
                                                     " (max_position_embeddings)"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckSequence(const CachedInput::Sequence& sequence, size_t index, const KvCache::Shape& cache,
                           int64_t max_positions) {
  const int64_t context = sequence.past_tokens + sequence.new_tokens;
  const std::string name = absl::StrCat("sequence ", index);
  if (sequence.past_tokens < 0 || sequence.new_tokens < 1) {
    return absl::InvalidArgumentError(absl::StrCat(name, " has ", sequence.past_tokens, " past and ",
                                                   sequence.new_tokens,
                                                   " new tokens; at least 0 and 1 are needed"));
  }
  if (context > max_positions) {
    return absl::InvalidArgumentError(absl::StrCat(name, " would have ", context, " tokens, the model takes ",
                                                   max_positions, " (max_position_embeddings)"));
  }
  if (static_cast<int64_t>(sequence.block_table.size()) * cache.block_tokens < context) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", sequence.block_table.size(), " blocks of ",
                                                   cache.block_tokens, " tokens do not hold ", context));
  }
  for (int32_t block : sequence.block_table) {
    if (block < 0 || block >= cache.blocks) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": block ", block, " is outside the cache of ", cache.blocks));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCache(const KvCache::Shape& cache, const ModelShape& model) {
  if (cache.layers == model.layers && cache.kv_heads == model.kv_heads && cache.head_dim == model.head_dim) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the cache is shaped for ", cache.layers, " layers of ", cache.kv_heads, " x ", cache.head_dim,
      ", the model has ", model.layers, " of ", model.kv_heads, " x ", model.head_dim));
}

// Positions, cache slots and block tables of one call.
struct Plan {
  at::Tensor positions;
  CachePlan cache;
};

absl::StatusOr<Plan> MakePlan(const CachedInput& input, const KvCache::Shape& cache,
                              const ModelShape& model) {
  REIN_RETURN_IF_ERROR(CheckCache(cache, model));
  Plan plan;
  std::vector<int64_t> pasts;
  size_t widest = 1;
  int64_t total = 0;
  for (size_t i = 0; i < input.sequences.size(); ++i) {
    const auto& sequence = input.sequences[i];
    REIN_RETURN_IF_ERROR(CheckSequence(sequence, i, cache, model.max_positions));
    pasts.push_back(sequence.past_tokens);
    plan.cache.query_lens.push_back(sequence.new_tokens);
    plan.cache.context_lens.push_back(sequence.past_tokens + sequence.new_tokens);
    widest = std::max(widest, sequence.block_table.size());
    total += sequence.new_tokens;
  }
  if (input.token_ids.dim() != 1 || input.token_ids.scalar_type() != at::kLong ||
      input.token_ids.numel() != total) {
    return absl::InvalidArgumentError(
        absl::StrCat("token_ids must be int64 [", total, "], one for every new token"));
  }
  plan.positions = Positions(pasts, plan.cache.query_lens);
  plan.cache.slots = at::empty({total}, at::kLong);
  plan.cache.block_tables =
      at::zeros({static_cast<int64_t>(input.sequences.size()), static_cast<int64_t>(widest)}, at::kInt);
  int64_t* slot = plan.cache.slots.data_ptr<int64_t>();
  int32_t* table = plan.cache.block_tables.data_ptr<int32_t>();
  for (const auto& sequence : input.sequences) {
    for (int64_t position = sequence.past_tokens; position < sequence.past_tokens + sequence.new_tokens;
         ++position) {
      *slot++ =
          sequence.block_table[static_cast<size_t>(position / cache.block_tokens)] * cache.block_tokens +
          position % cache.block_tokens;
    }
    std::copy(sequence.block_table.begin(), sequence.block_table.end(), table);
    table += widest;
  }
  return plan;
}

// Exceptions of LibTorch and of the kernels end here.
template <typename Compute>
absl::StatusOr<at::Tensor> Guarded(const char* what, Compute compute) {
  try {
    return compute();
  } catch (const c10::Error& error) {
    return absl::InternalError(absl::StrCat(what, ": ", error.what_without_backtrace()));
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat(what, ": ", error.what()));
  }
}

// Indices of the placeholders, after checking ids and features.
absl::StatusOr<std::vector<int64_t>> PlaceholderPositions(const at::Tensor& ids,
                                                          const std::vector<ImageFeatures>& images,
                                                          const ModelShape& shape) {
  std::vector<int64_t> positions;
  const int64_t* id = ids.data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.numel(); ++i) {
    if (id[i] < 0 || id[i] >= shape.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", i, " is ", id[i], ", outside the vocabulary of ", shape.vocab_size));
    }
    if (id[i] == shape.image_token_id) positions.push_back(i);
  }
  size_t features = 0;
  for (const ImageFeatures& image : images) {
    const auto count = static_cast<size_t>(image.features.size(0));
    const bool inside = features + count <= positions.size();
    // The placeholders of one picture stand side by side.
    if (inside && count > 0 &&
        positions[features + count - 1] - positions[features] != static_cast<int64_t>(count) - 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("a picture with ", count, " features meets a shorter run of placeholders at token ",
                       positions[features]));
    }
    features += count;
  }
  if (features != positions.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokens hold ", positions.size(), " image placeholders, the ", images.size(),
                     " pictures have ", features, " features; they must be equal"));
  }
  return positions;
}

}  // namespace

LlavaModel::LlavaModel(const LlavaConfig& config, Json json, SideFiles files, std::filesystem::path source,
                       const LoadOptions& options)
    : config_(config),
      json_(std::move(json)),
      files_(std::move(files)),
      source_(std::move(source)),
      options_(options),
      parameters_(options.dtype, options.device),
      tower_(config.vision, parameters_),
      linear1_(
          parameters_.AddLinear("multi_modal_projector.linear_1", config.text.hidden,
                                config.vision.hidden * static_cast<int64_t>(config.feature_layers.size()),
                                config.projector_bias, config.text.initializer_range)),
      linear2_(parameters_.AddLinear("multi_modal_projector.linear_2", config.text.hidden, config.text.hidden,
                                     config.projector_bias, config.text.initializer_range)),
      decoder_(config.text, parameters_) {
  shape_ = {.family = "llava",
            .vocab_size = config.text.vocab_size,
            .hidden = config.text.hidden,
            .layers = config.text.layers,
            .heads = config.text.heads,
            .kv_heads = config.text.kv_heads,
            .head_dim = config.text.head_dim,
            .max_positions = config.text.max_positions,
            .image_token_id = config.image_token_id};
}

absl::StatusOr<std::unique_ptr<LlavaModel>> LlavaModel::Prepare(const std::filesystem::path& folder,
                                                                const LoadOptions& options) {
  REIN_ASSIGN_OR_RETURN(SideFiles files, ReadSideFiles(folder));
  const std::string where = (folder / "config.json").string();
  REIN_ASSIGN_OR_RETURN(Json json, ParseJsonObject(files.at("config.json"), where));
  REIN_ASSIGN_OR_RETURN(const LlavaConfig config, ParseLlavaConfig(json, where));
  try {
    return std::unique_ptr<LlavaModel>(
        new LlavaModel(config, std::move(json), std::move(files), folder, options));
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(where, ": no memory for a model of this size: ", error.what()));
  }
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> LlavaModel::Load(const std::filesystem::path& folder,
                                                                      const LoadOptions& options) {
  // A folder without weights is refused before memory is taken for them.
  REIN_RETURN_IF_ERROR(ReadSideFiles(folder).status());
  REIN_RETURN_IF_ERROR(WeightFiles(folder).status());
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<LlavaModel> model, Prepare(folder, options));
  REIN_RETURN_IF_ERROR(model->LoadWeights());
  return model;
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> LlavaModel::MakeRandom(
    const std::filesystem::path& folder, uint64_t seed, const LoadOptions& options) {
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<LlavaModel> model, Prepare(folder, options));
  model->parameters_.DrawAll(seed);
  return model;
}

absl::Status LlavaModel::LoadWeights() {
  std::vector<std::string> extra;
  const auto take = [&](const std::string& name, const at::Tensor& value) {
    const std::string canonical = CanonicalLlavaName(name);
    const bool unneeded = IsDerivedLlavaBuffer(canonical) || (config_.text.tied && canonical == kHead);
    if (unneeded) return absl::OkStatus();
    if (canonical == kScoreHead) EnsureScoreHead();
    if (parameters_.Contains(canonical)) return parameters_.Set(canonical, value);
    extra.push_back(name);
    return absl::OkStatus();
  };
  REIN_RETURN_IF_ERROR(ForEachWeight(source_, take));
  const std::vector<std::string> missing = parameters_.Missing();
  if (!missing.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        source_.string(), ": tensors that config.json asks for are missing: ", FirstThree(missing),
        "; the folder is incomplete or config.json is wrong"));
  }
  if (!extra.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source_.string(), ": tensors that config.json does not ask for: ", FirstThree(extra),
                     "; config.json does not belong to these weights"));
  }
  return absl::OkStatus();
}

std::vector<ImageFeatures> LlavaModel::EncodeImages(absl::Span<const ProcessedImage> images) {
  if (images.empty()) return {};
  std::vector<at::Tensor> pixels;
  for (const ProcessedImage& image : images) pixels.push_back(image.pixels);
  const at::Tensor batch = at::cat(pixels).to(options_.device);
  std::vector<at::Tensor> states = tower_.HiddenStates(batch, config_.feature_layers);
  at::Tensor chosen = states.size() == 1 ? states[0] : at::cat(states, -1);
  if (!config_.keep_class_token) chosen = chosen.slice(1, 1);
  const at::Tensor projected =
      Apply(linear2_, Activate(config_.projector_activation, Apply(linear1_, chosen)));
  std::vector<ImageFeatures> features;
  for (at::Tensor& picture : projected.unbind(0)) features.push_back({.features = std::move(picture)});
  return features;
}

absl::StatusOr<at::Tensor> LlavaModel::EmbedWithImages(const at::Tensor& token_ids,
                                                       const std::vector<ImageFeatures>& images) {
  const at::Tensor ids = token_ids.to(at::kCPU).contiguous();
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> positions, PlaceholderPositions(ids, images, shape_));
  at::Tensor embedded = decoder_.Embed(token_ids.to(options_.device));
  if (positions.empty()) return embedded;
  std::vector<at::Tensor> features;
  for (const ImageFeatures& image : images) features.push_back(image.features);
  const at::Tensor rows = at::tensor(positions, at::kLong).to(options_.device);
  return embedded.index_copy(0, rows, at::cat(features).to(embedded.options()));
}

absl::StatusOr<at::Tensor> LlavaModel::Forward(const PackedInput& input) {
  REIN_RETURN_IF_ERROR(CheckLengths(input, shape_.max_positions));
  std::vector<int64_t> pasts(input.cu_seqlens.size() - 1, 0), lengths;
  for (size_t i = 1; i < input.cu_seqlens.size(); ++i)
    lengths.push_back(input.cu_seqlens[i] - input.cu_seqlens[i - 1]);
  return Guarded("forward pass", [&]() -> absl::StatusOr<at::Tensor> {
    REIN_ASSIGN_OR_RETURN(const at::Tensor embedded, EmbedWithImages(input.token_ids, input.images));
    return decoder_.Forward(embedded, Positions(pasts, lengths), input.cu_seqlens);
  });
}

absl::StatusOr<at::Tensor> LlavaModel::ForwardCached(const CachedInput& input, KvCache& cache) {
  const at::NoGradGuard no_grad;
  REIN_ASSIGN_OR_RETURN(Plan plan, MakePlan(input, cache.shape(), shape_));
  return Guarded("cached forward pass", [&]() -> absl::StatusOr<at::Tensor> {
    plan.cache.slots = plan.cache.slots.to(options_.device);
    REIN_ASSIGN_OR_RETURN(const at::Tensor embedded, EmbedWithImages(input.token_ids, input.images));
    return decoder_.ForwardCached(embedded, plan.positions, plan.cache, cache);
  });
}

at::Tensor LlavaModel::Scores(const at::Tensor& hidden) {
  return at::linear(hidden.to(at::kFloat), score_head_.to(at::kFloat)).squeeze(-1);
}

std::string LlavaModel::PartOf(const std::string& tensor_name) const {
  if (absl::StartsWith(tensor_name, "vision_tower.")) return "vision";
  if (absl::StartsWith(tensor_name, "multi_modal_projector.")) return "projector";
  return tensor_name == kScoreHead ? "score_head" : "language";
}

void LlavaModel::EnsureScoreHead() {
  if (score_head_.defined()) return;
  score_head_ = parameters_.Add(kScoreHead, {1, shape_.hidden}, Parameters::Fill::kNormal);
  shape_.has_score_head = true;
}

void LlavaModel::AddScoreHead(uint64_t seed) {
  EnsureScoreHead();
  parameters_.Draw(kScoreHead, seed);
}

absl::StatusOr<SideFiles> LlavaModel::side_files() const {
  SideFiles files = files_;
  const char* dtype = options_.dtype == at::kBFloat16 ? "bfloat16"
                      : options_.dtype == at::kHalf   ? "float16"
                                                      : "float32";
  files["config.json"] = RenderLlavaConfig(json_, config_, dtype);
  return files;
}

}  // namespace rein::models
