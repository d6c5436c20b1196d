#include "models/decoder_input.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::models {
namespace {

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
  if (sequence.position_offset > 0 || sequence.past_tokens + sequence.position_offset < 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": position_offset is ", sequence.position_offset,
                                                   "; it must lie from ", -sequence.past_tokens, " to 0"));
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

absl::Status CheckTokens(const at::Tensor& token_ids, int64_t total) {
  if (token_ids.dim() == 1 && token_ids.scalar_type() == at::kLong && token_ids.numel() == total) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("token_ids must be int64 [", total, "], one for every new token"));
}

// Where the sequences' new tokens go: int64 [total].
at::Tensor Slots(const CachedInput& input, int64_t block_tokens, int64_t total) {
  at::Tensor slots = at::empty({total}, at::kLong);
  int64_t* slot = slots.data_ptr<int64_t>();
  for (const auto& sequence : input.sequences) {
    for (int64_t i = sequence.past_tokens; i < sequence.past_tokens + sequence.new_tokens; ++i) {
      const int64_t block = sequence.block_table[static_cast<size_t>(i / block_tokens)];
      *slot++ = block * block_tokens + i % block_tokens;
    }
  }
  return slots;
}

at::Tensor BlockTables(const CachedInput& input) {
  size_t widest = 1;
  for (const auto& sequence : input.sequences) widest = std::max(widest, sequence.block_table.size());
  at::Tensor tables =
      at::zeros({static_cast<int64_t>(input.sequences.size()), static_cast<int64_t>(widest)}, at::kInt);
  int32_t* table = tables.data_ptr<int32_t>();
  for (const auto& sequence : input.sequences) {
    std::copy(sequence.block_table.begin(), sequence.block_table.end(), table);
    table += widest;
  }
  return tables;
}

// Of the placeholders, in order.
absl::StatusOr<std::vector<int64_t>> FindPlaceholders(const at::Tensor& ids, const ModelShape& model) {
  std::vector<int64_t> found;
  const int64_t* id = ids.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < ids.numel(); ++i) {
    if (id[i] < 0 || id[i] >= model.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("token ", i, " is ", id[i], ", outside the vocabulary of ", model.vocab_size));
    }
    if (id[i] == model.image_token_id) found.push_back(i);
  }
  return found;
}

// The placeholders of one picture, in a sequence that ends before `end`.
absl::Status CheckRuns(absl::Span<const int64_t> indices, int64_t end, const ModelShape& model) {
  const size_t longest =
      model.image_run_tokens > 0 ? static_cast<size_t>(model.image_run_tokens) : indices.size();
  for (size_t first = 0; first < indices.size(); first += longest) {
    const size_t last = std::min(first + longest, indices.size()) - 1;
    const bool whole = indices[last] - indices[first] == static_cast<int64_t>(last - first);
    if (whole && indices[last] < end) continue;
    return absl::InvalidArgumentError(absl::StrCat("a picture with ", indices.size(),
                                                   " features meets a shorter run of placeholders at token ",
                                                   indices[first]));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::vector<TokenSpan>> PackedSpans(const PackedInput& input, const ModelShape& model) {
  REIN_RETURN_IF_ERROR(CheckLengths(input, model.max_positions));
  std::vector<TokenSpan> spans;
  for (size_t i = 1; i < input.cu_seqlens.size(); ++i)
    spans.push_back({.length = input.cu_seqlens[i] - input.cu_seqlens[i - 1]});
  return spans;
}

absl::StatusOr<CachedSpans> PlanCache(const CachedInput& input, const KvCache::Shape& cache,
                                      const ModelShape& model) {
  REIN_RETURN_IF_ERROR(CheckCache(cache, model));
  CachedSpans cached;
  int64_t total = 0;
  for (size_t i = 0; i < input.sequences.size(); ++i) {
    const auto& sequence = input.sequences[i];
    REIN_RETURN_IF_ERROR(CheckSequence(sequence, i, cache, model.max_positions));
    cached.spans.push_back(
        {.length = sequence.new_tokens, .position = sequence.past_tokens + sequence.position_offset});
    cached.plan.query_lens.push_back(sequence.new_tokens);
    cached.plan.context_lens.push_back(sequence.past_tokens + sequence.new_tokens);
    total += sequence.new_tokens;
  }
  REIN_RETURN_IF_ERROR(CheckTokens(input.token_ids, total));
  cached.plan.slots = Slots(input, cache.block_tokens, total);
  cached.plan.block_tables = BlockTables(input);
  return cached;
}

absl::StatusOr<std::vector<int64_t>> PlaceholderIndices(const at::Tensor& ids,
                                                        const std::vector<TokenSpan>& spans,
                                                        const std::vector<ImageFeatures>& images,
                                                        const ModelShape& model) {
  REIN_ASSIGN_OR_RETURN(const std::vector<int64_t> indices, FindPlaceholders(ids, model));
  size_t features = 0, span = 0;
  int64_t span_end = spans.empty() ? 0 : spans[0].length;
  for (const ImageFeatures& image : images) {
    const auto count = static_cast<size_t>(image.features.size(0));
    if (count > 0 && features + count <= indices.size()) {
      while (indices[features] >= span_end) span_end += spans[++span].length;
      REIN_RETURN_IF_ERROR(CheckRuns(absl::MakeConstSpan(indices).subspan(features, count), span_end, model));
    }
    features += count;
  }
  if (features != indices.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the tokens hold ", indices.size(), " image placeholders, the ", images.size(),
                     " pictures have ", features, " features; they must be equal"));
  }
  return indices;
}

at::Tensor ConsecutivePositions(absl::Span<const TokenSpan> spans) {
  int64_t total = 0;
  for (const TokenSpan& span : spans) total += span.length;
  at::Tensor positions = at::empty({total}, at::kLong);
  int64_t* cursor = positions.data_ptr<int64_t>();
  for (const TokenSpan& span : spans) {
    for (int64_t i = 0; i < span.length; ++i) *cursor++ = span.position + i;
  }
  return positions;
}

}  // namespace rein::models
