#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "kernels/attention_cpu.h"
#include "kernels/ops.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

AttentionShape ShapeOf(const at::Tensor& q, int64_t kv_heads, double scale) {
  return {q.size(1), kv_heads, q.size(2), static_cast<float>(scale)};
}

int64_t LongestSequence(const std::vector<int64_t>& cu_seqlens) {
  int64_t longest = 0;
  for (size_t i = 1; i < cu_seqlens.size(); ++i)
    longest = std::max(longest, cu_seqlens[i] - cu_seqlens[i - 1]);
  return longest;
}

// Calls `part(begin, length, kv_head, scratch)` for every sequence and head of keys and values.
template <typename Part>
void ForEachPart(const std::vector<int64_t>& cu_seqlens, int64_t kv_heads, int64_t scratch_size,
                 const Part& part) {
  const int64_t parts = (static_cast<int64_t>(cu_seqlens.size()) - 1) * kv_heads;
  at::parallel_for(0, parts, 4, [&](int64_t first, int64_t last) {
    std::vector<float> scratch(scratch_size);
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = cu_seqlens[i / kv_heads];
      part(begin, cu_seqlens[i / kv_heads + 1] - begin, i % kv_heads, scratch.data());
    }
  });
}

class PackedAttentionFunction : public torch::autograd::Function<PackedAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& q_in, const at::Tensor& k_in,
                            const at::Tensor& v_in, const std::vector<int64_t>& cu_seqlens, double scale) {
    const at::Tensor q = q_in.to(at::kFloat).contiguous(), k = k_in.to(at::kFloat).contiguous();
    const at::Tensor v = v_in.to(at::kFloat).contiguous();
    const AttentionShape shape = ShapeOf(q, k.size(1), scale);
    at::Tensor out = at::empty_like(q), lse = at::empty({q.size(0), q.size(1)}, q.options());
    ForEachPart(cu_seqlens, shape.kv_heads, LongestSequence(cu_seqlens),
                [&](int64_t begin, int64_t length, int64_t kv_head, float* scratch) {
                  PackedForwardCpu(shape, begin, length, kv_head, q.const_data_ptr<float>(),
                                   k.const_data_ptr<float>(), v.const_data_ptr<float>(),
                                   out.mutable_data_ptr<float>(), lse.mutable_data_ptr<float>(), scratch);
                });
    context->save_for_backward({q, k, v, out, lse});
    context->saved_data["cu_seqlens"] = cu_seqlens;
    context->saved_data["scale"] = scale;
    context->saved_data["dtype"] = q_in.scalar_type();
    return out.to(q_in.scalar_type());
  }

  static variable_list backward(AutogradContext* context, const variable_list& grads) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[3], &lse = saved[4];
    const at::Tensor grad = grads[0].to(at::kFloat).contiguous();
    const std::vector<int64_t> cu_seqlens = context->saved_data["cu_seqlens"].toIntVector();
    const AttentionShape shape = ShapeOf(q, k.size(1), context->saved_data["scale"].toDouble());
    at::Tensor dq = at::empty_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v);
    ForEachPart(cu_seqlens, shape.kv_heads, LongestSequence(cu_seqlens),
                [&](int64_t begin, int64_t length, int64_t kv_head, float* scratch) {
                  PackedBackwardCpu(shape, begin, length, kv_head, q.const_data_ptr<float>(),
                                    k.const_data_ptr<float>(), v.const_data_ptr<float>(),
                                    out.const_data_ptr<float>(), lse.const_data_ptr<float>(),
                                    grad.const_data_ptr<float>(), dq.mutable_data_ptr<float>(),
                                    dk.mutable_data_ptr<float>(), dv.mutable_data_ptr<float>(), scratch);
                });
    const auto dtype = context->saved_data["dtype"].toScalarType();
    return {dq.to(dtype), dk.to(dtype), dv.to(dtype), at::Tensor(), at::Tensor()};
  }
};

void CheckHeads(const char* name, const at::Tensor& q, int64_t kv_heads, int64_t head_dim) {
  TORCH_CHECK(q.dim() == 3, name, ": q must be [T, heads, D], got ", q.sizes());
  TORCH_CHECK(kv_heads > 0 && q.size(1) % kv_heads == 0, name, ": ", q.size(1),
              " query heads are no multiple of ", kv_heads, " key heads");
  TORCH_CHECK(q.size(2) == head_dim, name, ": head size of q is ", q.size(2), ", of k ", head_dim);
}

}  // namespace

at::Tensor PackedAttention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const std::vector<int64_t>& cu_seqlens, double scale) {
  TORCH_CHECK(k.dim() == 3 && k.sizes() == v.sizes() && q.size(0) == k.size(0),
              "PackedAttention: k and v must be [T, kv_heads, D] with q's T, got ", k.sizes(), " and ",
              v.sizes());
  CheckHeads("PackedAttention", q, k.size(1), k.size(2));
  TORCH_CHECK(!cu_seqlens.empty() && cu_seqlens.front() == 0 && cu_seqlens.back() == q.size(0) &&
                  std::is_sorted(cu_seqlens.begin(), cu_seqlens.end()),
              "PackedAttention: cu_seqlens must rise from 0 to ", q.size(0));
  return PackedAttentionFunction::apply(q, k, v, cu_seqlens, scale);
}

at::Tensor PagedAttention(const at::Tensor& q, const at::Tensor& key_cache, const at::Tensor& value_cache,
                          const at::Tensor& block_tables, const std::vector<int64_t>& query_lens,
                          const std::vector<int64_t>& context_lens, double scale) {
  TORCH_CHECK(key_cache.dim() == 4 && key_cache.is_contiguous() && value_cache.is_contiguous() &&
                  key_cache.sizes() == value_cache.sizes() && key_cache.scalar_type() == at::kFloat,
              "PagedAttention: caches must be contiguous float32 [blocks, block_tokens, kv_heads, D]");
  CheckHeads("PagedAttention", q, key_cache.size(2), key_cache.size(3));
  TORCH_CHECK(block_tables.scalar_type() == at::kInt && block_tables.dim() == 2 &&
                  block_tables.size(0) == static_cast<int64_t>(query_lens.size()) &&
                  query_lens.size() == context_lens.size(),
              "PagedAttention: block_tables must be int32 [", query_lens.size(), ", max_blocks]");
  const at::Tensor queries = q.contiguous(), tables = block_tables.contiguous();
  const int64_t block_tokens = key_cache.size(1), row_size = q.size(1) * q.size(2);
  // Sequence and context length of every new token.
  std::vector<std::pair<int64_t, int64_t>> tokens;
  for (size_t s = 0; s < query_lens.size(); ++s) {
    TORCH_CHECK(query_lens[s] <= context_lens[s] && context_lens[s] <= tables.size(1) * block_tokens,
                "PagedAttention: sequence ", s, " has ", context_lens[s], " tokens but room for ",
                tables.size(1) * block_tokens);
    for (int64_t i = 0; i < query_lens[s]; ++i)
      tokens.emplace_back(s, context_lens[s] - query_lens[s] + i + 1);
  }
  TORCH_CHECK(static_cast<int64_t>(tokens.size()) == q.size(0), "PagedAttention: q has ", q.size(0),
              " tokens, query_lens sum to ", tokens.size());
  const AttentionShape shape = ShapeOf(queries, key_cache.size(2), scale);
  at::Tensor out = at::empty_like(queries);
  at::parallel_for(0, q.size(0), 8, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(tables.size(1) * block_tokens);
    for (int64_t t = begin; t < end; ++t) {
      PagedTokenCpu(shape, queries.const_data_ptr<float>() + t * row_size, key_cache.const_data_ptr<float>(),
                    value_cache.const_data_ptr<float>(),
                    tables.const_data_ptr<int32_t>() + tokens[t].first * tables.size(1), block_tokens,
                    tokens[t].second, out.mutable_data_ptr<float>() + t * row_size, scratch.data());
    }
  });
  return out;
}

}  // namespace rein::kernels
