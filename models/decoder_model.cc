#include "models/decoder_model.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "models/dtype.h"

namespace rein::models {
namespace {

constexpr char kScoreHead[] = "score_head.weight";

std::string FirstThree(const std::vector<std::string>& names) {
  const size_t shown = std::min<size_t>(3, names.size());
  std::string text = absl::StrJoin(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
  if (names.size() > shown) absl::StrAppend(&text, " and ", names.size() - shown, " more");
  return text;
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

}  // namespace

DecoderModel::DecoderModel(std::string family, int64_t image_token_id, Origin origin,
                           int64_t image_run_tokens)
    : origin_(std::move(origin)), parameters_(origin_.options.dtype, origin_.options.device) {
  shape_.family = std::move(family);
  shape_.image_token_id = image_token_id;
  shape_.image_run_tokens = image_run_tokens;
}

void DecoderModel::AddDecoder(const LlamaConfig& config, const DecoderNames& names) {
  decoder_.emplace(config, names, parameters_);
  if (config.tied) unused_head_ = names.head;
  shape_.vocab_size = config.vocab_size;
  shape_.hidden = config.hidden;
  shape_.layers = config.layers;
  shape_.heads = config.heads;
  shape_.kv_heads = config.kv_heads;
  shape_.head_dim = config.head_dim;
  shape_.intermediate = config.intermediate;
  shape_.max_positions = config.max_positions;
}

absl::StatusOr<std::unique_ptr<DecoderModel>> DecoderModel::Make(const std::filesystem::path& folder,
                                                                 const LoadOptions& options, Maker make) {
  Origin origin{.folder = folder, .where = (folder / "config.json").string(), .options = options};
  origin.options.progress = nullptr;  // the model outlives what it refers to
  REIN_ASSIGN_OR_RETURN(origin.files, ReadSideFiles(folder));
  REIN_ASSIGN_OR_RETURN(origin.json, ParseJsonObject(origin.files.at("config.json"), origin.where));
  const std::string where = origin.where;
  try {
    return make(std::move(origin));
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(where, ": no memory for a model of this size: ", error.what()));
  }
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> DecoderModel::Load(const std::filesystem::path& folder,
                                                                        const LoadOptions& options,
                                                                        Maker make) {
  // A folder without weights is refused before memory is taken for them.
  REIN_RETURN_IF_ERROR(ReadSideFiles(folder).status());
  REIN_RETURN_IF_ERROR(WeightFiles(folder).status());
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<DecoderModel> model, Make(folder, options, make));
  REIN_RETURN_IF_ERROR(model->LoadWeights(options.progress));
  return model;
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> DecoderModel::MakeRandom(
    const std::filesystem::path& folder, uint64_t seed, const LoadOptions& options, Maker make) {
  REIN_ASSIGN_OR_RETURN(std::unique_ptr<DecoderModel> model, Make(folder, options, make));
  model->parameters_.DrawAll(seed);
  return model;
}

absl::StatusOr<std::unique_ptr<VisionLanguageModel>> DecoderModel::Outline(
    const std::filesystem::path& folder, LoadOptions options, Maker make) {
  options.device = at::kMeta;
  return Make(folder, options, make);
}

absl::StatusOr<std::vector<WeightRead>> DecoderModel::PlanReads(const std::vector<SafetensorsFile>& files) {
  std::vector<WeightRead> reads;
  std::vector<std::string> extra;
  for (const SafetensorsFile& file : files) {
    for (const SafetensorsEntry& entry : file.entries()) {
      const std::string name = CanonicalName(entry.name);
      if (IsDerived(name) || name == unused_head_) continue;
      if (name == kScoreHead) EnsureScoreHead();
      if (!parameters_.Contains(name)) {
        extra.push_back(entry.name);
        continue;
      }
      absl::StatusOr<at::Tensor> target = parameters_.Take(name, entry.dtype, entry.shape);
      if (!target.ok()) return WithContext(target.status(), file.path().string());
      reads.push_back({&file, &entry, *std::move(target)});
    }
  }
  const std::vector<std::string> missing = parameters_.Missing();
  if (!missing.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        origin_.folder.string(), ": tensors that config.json asks for are missing: ", FirstThree(missing),
        "; the folder is incomplete or config.json is wrong"));
  }
  if (!extra.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        origin_.folder.string(), ": tensors that config.json does not ask for: ", FirstThree(extra),
        "; config.json does not belong to these weights"));
  }
  return reads;
}

absl::Status DecoderModel::LoadWeights(const LoadProgressFn& progress) {
  REIN_ASSIGN_OR_RETURN(const std::vector<SafetensorsFile> files, OpenWeights(origin_.folder));
  REIN_ASSIGN_OR_RETURN(const std::vector<WeightRead> reads, PlanReads(files));
  return ReadWeights(reads, progress);
}

at::Tensor DecoderModel::Positions(const at::Tensor& /*ids*/, absl::Span<const TokenSpan> spans,
                                   absl::Span<const ImageFeatures> /*images*/) const {
  return ConsecutivePositions(spans);
}

absl::StatusOr<DecoderModel::Prepared> DecoderModel::Prepare(const at::Tensor& token_ids,
                                                             const std::vector<TokenSpan>& spans,
                                                             const std::vector<ImageFeatures>& images) {
  const at::Tensor ids = token_ids.to(at::kCPU).contiguous();
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, PlaceholderIndices(ids, spans, images, shape_));
  Prepared prepared{.embedded = decoder_->Embed(token_ids.to(device())),
                    .positions = Positions(ids, spans, images)};
  if (indices.empty()) return prepared;
  std::vector<at::Tensor> features;
  for (const ImageFeatures& image : images) features.push_back(image.features);
  const at::Tensor rows = at::tensor(indices, at::kLong).to(device());
  prepared.embedded =
      prepared.embedded.index_copy(0, rows, at::cat(features).to(prepared.embedded.options()));
  return prepared;
}

absl::StatusOr<at::Tensor> DecoderModel::Forward(const PackedInput& input) {
  REIN_ASSIGN_OR_RETURN(const std::vector<TokenSpan> spans, PackedSpans(input, shape_));
  return Guarded("forward pass", [&]() -> absl::StatusOr<at::Tensor> {
    REIN_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(input.token_ids, spans, input.images));
    return decoder_->Forward(prepared.embedded, prepared.positions, input.cu_seqlens);
  });
}

absl::StatusOr<at::Tensor> DecoderModel::ForwardCached(const CachedInput& input, KvCache& cache) {
  const at::NoGradGuard no_grad;
  REIN_ASSIGN_OR_RETURN(CachedSpans cached, PlanCache(input, cache.shape(), shape_));
  return Guarded("cached forward pass", [&]() -> absl::StatusOr<at::Tensor> {
    cached.plan.slots = cached.plan.slots.to(device());
    REIN_ASSIGN_OR_RETURN(const Prepared prepared, Prepare(input.token_ids, cached.spans, input.images));
    return decoder_->ForwardCached(prepared.embedded, prepared.positions, cached.plan, cache);
  });
}

at::Tensor DecoderModel::Scores(const at::Tensor& hidden) {
  return at::linear(hidden.to(at::kFloat), score_head_.to(at::kFloat)).squeeze(-1);
}

std::string DecoderModel::PartOf(const std::string& tensor_name) const {
  if (tensor_name == kScoreHead) return "score_head";
  const std::string part = VisionPartOf(tensor_name);
  return part.empty() ? "language" : part;
}

void DecoderModel::EnsureScoreHead() {
  if (score_head_.defined()) return;
  score_head_ = parameters_.Add(kScoreHead, {1, shape_.hidden}, Parameters::Fill::kNormal);
  shape_.has_score_head = true;
}

void DecoderModel::AddScoreHead(uint64_t seed) {
  EnsureScoreHead();
  parameters_.Draw(kScoreHead, seed);
}

absl::StatusOr<SideFiles> DecoderModel::side_files() const {
  SideFiles files = origin_.files;
  files["config.json"] = RenderConfig(origin_.json, DtypeName(origin_.options.dtype));
  return files;
}

}  // namespace rein::models
