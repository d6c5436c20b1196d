#include "actors/rollout/engine/paged_engine.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/status.h"
#include "kernels/ops.h"

namespace rein::rollout {
namespace {

at::Device DeviceOf(const models::VisionLanguageModel& model) {
  return model.tensors().empty() ? at::Device(at::kCPU) : model.tensors().front().second.device();
}

at::Tensor AllowedTokens(const models::Processor& processor, const models::ModelShape& shape) {
  at::Tensor allowed = processor.AllowedTokens(shape.vocab_size).clone();
  if (shape.image_token_id >= 0) allowed[shape.image_token_id] = false;
  return allowed;
}

std::vector<bool> EndTokens(const models::Processor& processor, int64_t vocab_size) {
  std::vector<bool> is_end(vocab_size, false);
  for (int32_t token : processor.end_tokens()) {
    if (token >= 0 && token < vocab_size) is_end[token] = true;
  }
  return is_end;
}

at::Tensor Int64Tensor(const std::vector<int64_t>& values) {
  return at::tensor(values, at::TensorOptions(at::kLong));
}

// Last token of every sequence, as rows of the packed result.
at::Tensor LastRows(const models::CachedInput& input, at::Device device) {
  std::vector<int64_t> rows;
  int64_t end = 0;
  for (const auto& sequence : input.sequences) {
    end += sequence.new_tokens;
    rows.push_back(end - 1);
  }
  return Int64Tensor(rows).to(device);
}

// Runs `work`; what LibTorch throws becomes a Status.
template <typename Work>
auto Guarded(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const c10::OutOfMemoryError& error) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory: ", error.what_without_backtrace()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("no memory");
  } catch (const c10::Error& error) {
    return absl::InternalError(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

absl::Status CheckOptions(const EngineOptions& options) {
  const std::pair<const char*, int64_t> positive[] = {{"max_batch", options.max_batch},
                                                      {"block_tokens", options.block_tokens},
                                                      {"max_prompt_tokens", options.max_prompt_tokens},
                                                      {"max_response_tokens", options.max_response_tokens}};
  for (const auto& [name, value] : positive) {
    if (value < 1) return absl::InvalidArgumentError(absl::StrCat(name, " is ", value, "; at least 1"));
  }
  return absl::OkStatus();
}

int64_t BlockBytes(const models::VisionLanguageModel& model, int64_t block_tokens) {
  const models::ModelShape& shape = model.shape();
  const models::KvCache::Shape block{.layers = shape.layers,
                                     .blocks = 1,
                                     .block_tokens = block_tokens,
                                     .kv_heads = shape.kv_heads,
                                     .head_dim = shape.head_dim};
  // As MakeCache.
  const bool in_float = model.tensors().empty() || model.tensors().front().second.is_cpu();
  const at::ScalarType dtype = in_float ? at::kFloat : model.tensors().front().second.scalar_type();
  return models::KvCache::BlockBytes(block, dtype);
}

// Blocks that the options ask for. Errors: INVALID_ARGUMENT (not even one block).
absl::StatusOr<int64_t> CacheBlocks(const models::VisionLanguageModel& model, const EngineOptions& options) {
  const models::ModelShape& shape = model.shape();
  if (options.cache_bytes <= 0) {
    const int64_t longest =
        std::min(options.max_prompt_tokens + options.max_response_tokens, shape.max_positions);
    // Each may share nothing, and every prompt's prefix keeps a last block of its own.
    return options.max_batch * ((longest + options.block_tokens - 1) / options.block_tokens + 1);
  }
  const int64_t block_bytes = BlockBytes(model, options.block_tokens);
  if (options.cache_bytes < block_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("a KV cache of ", options.cache_bytes,
                                                   " bytes holds no block; one takes ", block_bytes,
                                                   " bytes (rollout.kv_cache_bytes)"));
  }
  return options.cache_bytes / block_bytes;
}

}  // namespace

absl::StatusOr<int64_t> Engine::CacheBytes(const models::VisionLanguageModel& model,
                                           const EngineOptions& options) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  REIN_ASSIGN_OR_RETURN(const int64_t blocks, CacheBlocks(model, options));
  return blocks * BlockBytes(model, options.block_tokens);
}

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(models::VisionLanguageModel* model,
                                                       const models::Processor* processor,
                                                       const EngineOptions& options) {
  REIN_RETURN_IF_ERROR(CheckOptions(options));
  REIN_ASSIGN_OR_RETURN(const int64_t blocks, CacheBlocks(*model, options));
  auto engine = Guarded([&]() -> absl::StatusOr<std::unique_ptr<Engine>> {
    return std::make_unique<PagedEngine>(model, processor, options, blocks);
  });
  if (!engine.ok()) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no memory for a KV cache of ", blocks, " blocks of ", options.block_tokens,
                     " tokens; limit it (rollout.kv_cache_bytes): ", engine.status().message()));
  }
  return engine;
}

PagedEngine::PagedEngine(models::VisionLanguageModel* model, const models::Processor* processor,
                         const EngineOptions& options, int64_t blocks)
    : model_(model),
      limits_{.max_prompt_tokens = options.max_prompt_tokens,
              .max_response_tokens = options.max_response_tokens,
              .max_positions = model->shape().max_positions,
              .cache_tokens = blocks * options.block_tokens,
              .vocab_size = model->shape().vocab_size,
              .image_token_id = model->shape().image_token_id,
              .image_run_tokens = model->shape().image_run_tokens},
      is_end_token_(EndTokens(*processor, model->shape().vocab_size)),
      cache_(model->MakeCache(blocks, options.block_tokens)),
      allowed_(AllowedTokens(*processor, model->shape()).to(DeviceOf(*model))),
      scheduler_({.blocks = blocks, .block_tokens = options.block_tokens, .max_batch = options.max_batch}) {}

absl::Status PagedEngine::Add(GenerationRequest request) {
  REIN_RETURN_IF_ERROR(CheckRequest(request, limits_));
  auto prompt = std::make_shared<Prompt>();
  prompt->request = std::move(request);
  prompt->position_offset = model_->PositionOffset(prompt->request.images);
  scheduler_.Add(std::move(prompt));
  return absl::OkStatus();
}

absl::Status PagedEngine::Step(const std::function<void(GeneratedSample)>& finished) {
  if (idle()) return absl::OkStatus();
  const at::NoGradGuard no_grad;
  return Guarded([&] { return StepUnguarded(finished); });
}

absl::Status PagedEngine::StepUnguarded(const std::function<void(GeneratedSample)>& finished) {
  REIN_RETURN_IF_ERROR(Prefill(scheduler_.Admit()));
  scheduler_.StartAdmitted();
  Copy(scheduler_.Reserve());
  REIN_ASSIGN_OR_RETURN(const Rows rows, Compute());
  REIN_RETURN_IF_ERROR(Draw(NextLogits(rows)));
  scheduler_.EndStep([this](const Sequence& sequence) { return Stopped(sequence) || sequence.full(); },
                     [&](Sequence& sequence) { finished(Finish(sequence)); });
  return absl::OkStatus();
}

std::vector<at::Tensor> PagedEngine::ForgetCache() {
  scheduler_.Clear();
  std::vector<at::Tensor> tensors;
  for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
    tensors.push_back(cache_.keys(layer));
    tensors.push_back(cache_.values(layer));
  }
  return tensors;
}

absl::Status PagedEngine::Prefill(const std::vector<std::shared_ptr<Prompt>>& prompts) {
  if (prompts.empty()) return absl::OkStatus();
  models::CachedInput input;
  std::vector<models::ProcessedImage> images;
  std::vector<int64_t> tokens;
  for (const auto& prompt : prompts) {
    input.sequences.push_back(
        {.block_table = prompt->blocks, .past_tokens = 0, .new_tokens = prompt->length()});
    tokens.insert(tokens.end(), prompt->request.prompt_tokens.begin(), prompt->request.prompt_tokens.end());
    images.insert(images.end(), prompt->request.images.begin(), prompt->request.images.end());
  }
  input.token_ids = Int64Tensor(tokens);
  if (!images.empty()) input.images = model_->EncodeImages(images);
  REIN_ASSIGN_OR_RETURN(const at::Tensor hidden, model_->ForwardCached(input, cache_));
  const at::Tensor last = hidden.index_select(0, LastRows(input, hidden.device()));
  for (size_t i = 0; i < prompts.size(); ++i) {
    prompts[i]->last_hidden = last.narrow(0, static_cast<int64_t>(i), 1);
  }
  prefilled_tokens_ += static_cast<int64_t>(tokens.size());
  return absl::OkStatus();
}

void PagedEngine::Copy(const std::vector<BlockCopy>& copies) {
  if (copies.empty()) return;
  std::vector<int64_t> from, to;
  for (const BlockCopy& copy : copies) {
    from.push_back(copy.from);
    to.push_back(copy.to);
  }
  const at::Device device = cache_.keys(0).device();
  const at::Tensor read = Int64Tensor(from).to(device), written = Int64Tensor(to).to(device);
  for (int64_t layer = 0; layer < cache_.shape().layers; ++layer) {
    for (at::Tensor* blocks : {&cache_.keys(layer), &cache_.values(layer)}) {
      blocks->index_copy_(0, written, blocks->index_select(0, read));
    }
  }
}

absl::StatusOr<PagedEngine::Rows> PagedEngine::Compute() {
  Rows rows;
  models::CachedInput input;
  std::vector<int64_t> tokens;
  for (const SequencePtr& sequence : scheduler_.running()) {
    if (sequence->pending() == 0) continue;
    input.sequences.push_back({.block_table = sequence->blocks,
                               .past_tokens = sequence->computed,
                               .new_tokens = sequence->pending(),
                               .position_offset = sequence->prompt->position_offset});
    tokens.insert(tokens.end(), sequence->tokens.end() - sequence->pending(), sequence->tokens.end());
  }
  const auto decoded = static_cast<int64_t>(input.sequences.size());
  if (decoded > 0) {
    input.token_ids = Int64Tensor(tokens);
    REIN_ASSIGN_OR_RETURN(const at::Tensor hidden, model_->ForwardCached(input, cache_));
    const bool all = hidden.size(0) == decoded;
    rows.hidden.push_back(all ? hidden : hidden.index_select(0, LastRows(input, hidden.device())));
    prefilled_tokens_ += static_cast<int64_t>(tokens.size()) - decoded;
  }
  // Samples that start now draw from the hidden state of their prompt; those of one prompt stand together.
  int64_t next = 0, prompts = 0;
  const Prompt* newest = nullptr;
  for (const SequencePtr& sequence : scheduler_.running()) {
    if (sequence->pending() > 0) {
      rows.row.push_back(next++);
      sequence->computed = sequence->known();
      continue;
    }
    if (sequence->prompt.get() != newest) {
      newest = sequence->prompt.get();
      rows.hidden.push_back(newest->last_hidden);
      ++prompts;
    }
    rows.row.push_back(decoded + prompts - 1);
  }
  return rows;
}

at::Tensor PagedEngine::NextLogits(const Rows& rows) {
  if (rows.row.empty()) return {};
  const at::Tensor hidden = rows.hidden.size() == 1 ? rows.hidden[0] : at::cat(rows.hidden);
  const at::Tensor logits = model_->Logits(hidden).to(at::kFloat);
  const bool in_order = logits.size(0) == static_cast<int64_t>(rows.row.size()) &&
                        std::is_sorted(rows.row.begin(), rows.row.end());
  return in_order ? logits : logits.index_select(0, Int64Tensor(rows.row).to(logits.device()));
}

absl::Status PagedEngine::Draw(const at::Tensor& logits) {
  using Key = std::tuple<double, double, int64_t>;
  std::map<Key, std::vector<int64_t>> groups;
  for (size_t i = 0; i < scheduler_.running().size(); ++i) {
    const SamplingParams& params = scheduler_.running()[i]->prompt->request.params;
    groups[{params.temperature, params.top_p, params.top_k}].push_back(static_cast<int64_t>(i));
  }
  for (const auto& [key, members] : groups) {
    const bool all = members.size() == scheduler_.running().size();
    REIN_RETURN_IF_ERROR(
        DrawFor(members, all ? logits : logits.index_select(0, Int64Tensor(members).to(logits.device()))));
  }
  return absl::OkStatus();
}

absl::Status PagedEngine::DrawFor(const std::vector<int64_t>& members, const at::Tensor& logits) {
  const auto& running = scheduler_.running();
  const SamplingParams& params = running[members[0]]->prompt->request.params;
  std::vector<int64_t> bits;
  for (int64_t member : members) {
    const Sequence& sequence = *running[member];
    bits.push_back(static_cast<int64_t>(RandomBits(sequence.key, sequence.tokens.size())));
  }
  const kernels::SampledTokens drawn =
      kernels::SampleTokens(logits, params.temperature, allowed_, Int64Tensor(bits).to(logits.device()),
                            params.top_p, params.top_k);
  const at::Tensor tokens = drawn.token.cpu(), logprobs = drawn.logprob.cpu();
  for (size_t i = 0; i < members.size(); ++i) {
    Sequence& sequence = *running[members[i]];
    const float logprob = logprobs.const_data_ptr<float>()[i];
    if (!std::isfinite(logprob)) {
      return absl::DataLossError(absl::StrCat("sample ", sequence.prompt->request.prompt_id, "/",
                                              sequence.sample, ", token ", sequence.tokens.size(),
                                              ": the log-probability is not finite; the weights of version ",
                                              version_.number, " are broken"));
    }
    if (sequence.tokens.empty()) sequence.first_version = version_;
    sequence.last_version = version_;
    sequence.tokens.push_back(static_cast<int32_t>(tokens.const_data_ptr<int64_t>()[i]));
    sequence.logprobs.push_back(logprob);
  }
  generated_tokens_ += static_cast<int64_t>(members.size());
  return absl::OkStatus();
}

bool PagedEngine::Stopped(const Sequence& sequence) const {
  return !sequence.tokens.empty() && is_end_token_[sequence.tokens.back()];
}

GeneratedSample PagedEngine::Finish(Sequence& sequence) const {
  const bool stopped = Stopped(sequence);
  return {.prompt_id = sequence.prompt->request.prompt_id,
          .sample = sequence.sample,
          .tokens = std::move(sequence.tokens),
          .logprobs = std::move(sequence.logprobs),
          .stopped = stopped,
          .first_version = sequence.first_version,
          .last_version = sequence.last_version,
          .tag = sequence.prompt->request.tag};
}

void PagedEngine::WeightsChanged(Version version) {
  version_ = version;
  scheduler_.Restart();
}

EngineCounters PagedEngine::counters() const {
  return {.generated_tokens = generated_tokens_,
          .prefilled_tokens = prefilled_tokens_,
          .running = static_cast<int64_t>(scheduler_.running().size()),
          .waiting = scheduler_.waiting(),
          .preempted = scheduler_.preempted(),
          .free_blocks = scheduler_.pool().free(),
          .total_blocks = scheduler_.pool().total()};
}

}  // namespace rein::rollout
