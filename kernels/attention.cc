#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "kernels/attention_cpu.h"
#include "kernels/attention_tokens.h"
#include "kernels/dispatch.h"
#include "kernels/ops.h"
#include "kernels/packed_attention_cpu.h"

namespace rein::kernels {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

AttentionShape ShapeOf(const at::Tensor &q, int64_t kv_heads, double scale) {
  return {q.size(1), kv_heads, q.size(2), static_cast<float>(scale)};
}

int64_t LongestSequence(at::IntArrayRef cu_seqlens) {
  int64_t longest = 0;
  for (size_t i = 1; i < cu_seqlens.size(); ++i)
    longest = std::max(longest, cu_seqlens[i] - cu_seqlens[i - 1]);
  return longest;
}

// Calls `run(part, memory)` for every sequence and head of keys and values;
// `memory` has `floats` values.
template <typename Run>
void ForEachPart(at::IntArrayRef cu_seqlens, int64_t kv_heads, int64_t floats, const Run &run) {
  const int64_t parts = (static_cast<int64_t>(cu_seqlens.size()) - 1) * kv_heads;
  at::parallel_for(0, parts, 1, [&](int64_t first, int64_t last) {
    const std::unique_ptr<float[]> memory(new float[floats]);
    for (int64_t i = first; i < last; ++i) {
      const int64_t begin = cu_seqlens[i / kv_heads];
      run(PackedPart{begin, cu_seqlens[i / kv_heads + 1] - begin, i % kv_heads}, memory.get());
    }
  });
}

// float32, and heads one behind the other; tokens may stand apart, as in a
// joined projection.
at::Tensor Readable(const at::Tensor &x) {
  const at::Tensor wide = x.to(at::kFloat);
  const bool fits = wide.stride(2) == 1 && wide.stride(1) == wide.size(2);
  return fits ? wide : wide.contiguous();
}

PackedInputs InputsOf(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v) {
  return {q.const_data_ptr<float>(),
          k.const_data_ptr<float>(),
          v.const_data_ptr<float>(),
          q.stride(0),
          k.stride(0),
          v.stride(0)};
}

std::tuple<at::Tensor, at::Tensor> PackedCpu(const at::Tensor &q_in, const at::Tensor &k_in,
                                             const at::Tensor &v_in, at::IntArrayRef cu_seqlens,
                                             double scale) {
  const at::Tensor q = Readable(q_in), k = Readable(k_in), v = Readable(v_in);
  const AttentionShape shape = ShapeOf(q, k.size(1), scale);
  const PackedInputs inputs = InputsOf(q, k, v);
  at::Tensor out = at::empty(q.sizes(), q.options()), lse = at::empty({q.size(0), q.size(1)}, q.options());
  ForEachPart(cu_seqlens, shape.kv_heads, PackedForwardScratch(shape, LongestSequence(cu_seqlens)),
              [&](const PackedPart &part, float *memory) {
                PackedForwardPartCpu(shape, inputs, part, out.mutable_data_ptr<float>(),
                                     lse.mutable_data_ptr<float>(), memory);
              });
  return {out.to(q_in.scalar_type()), lse};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> PackedBackwardCpu(
    const at::Tensor &grad_out, const at::Tensor &q_in, const at::Tensor &k_in, const at::Tensor &v_in,
    const at::Tensor &out_in, const at::Tensor &lse, at::IntArrayRef cu_seqlens, double scale) {
  const at::Tensor q = Readable(q_in), k = Readable(k_in), v = Readable(v_in);
  const at::Tensor out = out_in.to(at::kFloat), grad = grad_out.to(at::kFloat);
  const AttentionShape shape = ShapeOf(q, k.size(1), scale);
  const PackedInputs inputs = InputsOf(q, k, v);
  const PackedResults results = {out.const_data_ptr<float>(), lse.const_data_ptr<float>(),
                                 grad.const_data_ptr<float>()};
  at::Tensor dq = at::empty(q.sizes(), q.options()), dk = at::empty(k.sizes(), q.options()),
             dv = at::empty(v.sizes(), q.options());
  const PackedGradients gradients = {dq.mutable_data_ptr<float>(), dk.mutable_data_ptr<float>(),
                                     dv.mutable_data_ptr<float>()};
  ForEachPart(cu_seqlens, shape.kv_heads, PackedBackwardScratch(shape, LongestSequence(cu_seqlens)),
              [&](const PackedPart &part, float *memory) {
                PackedBackwardPartCpu(shape, inputs, results, part, gradients, memory);
              });
  const auto dtype = q_in.scalar_type();
  return {dq.to(dtype), dk.to(dtype), dv.to(dtype)};
}

at::Tensor PagedCpu(const at::Tensor &q, const at::Tensor &key_cache, const at::Tensor &value_cache,
                    const at::Tensor &tables, at::IntArrayRef query_lens, at::IntArrayRef context_lens,
                    double scale) {
  const int64_t block_tokens = key_cache.size(1), row_size = q.size(1) * q.size(2);
  const std::vector<PagedToken> tokens = PagedTokens(query_lens, context_lens);
  const AttentionShape shape = ShapeOf(q, key_cache.size(2), scale);
  at::Tensor out = at::empty_like(q);
  at::parallel_for(0, q.size(0), 8, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(tables.size(1) * block_tokens);
    for (int64_t t = begin; t < end; ++t) {
      PagedTokenCpu(shape, q.const_data_ptr<float>() + t * row_size, key_cache.const_data_ptr<float>(),
                    value_cache.const_data_ptr<float>(),
                    tables.const_data_ptr<int32_t>() + tokens[t].sequence * tables.size(1), block_tokens,
                    tokens[t].context, out.mutable_data_ptr<float>() + t * row_size, scratch.data());
    }
  });
  return out;
}

TORCH_LIBRARY_FRAGMENT(rein, library) {
  library.def(
      "packed_attention(Tensor q, Tensor k, Tensor v, int[] "
      "cu_seqlens, float scale)"
      " -> (Tensor out, Tensor lse)");
  library.def(
      "packed_attention_backward(Tensor grad, Tensor q, Tensor k, Tensor v, "
      "Tensor out, Tensor lse,"
      " int[] cu_seqlens, float scale) -> (Tensor dq, Tensor dk, Tensor dv)");
  library.def(
      "paged_attention(Tensor q, Tensor key_cache, Tensor value_cache, "
      "Tensor block_tables, int[] query_lens,"
      " int[] context_lens, float scale) -> Tensor");
}

TORCH_LIBRARY_IMPL(rein, CPU, library) {
  library.impl("packed_attention", PackedCpu);
  library.impl("packed_attention_backward", PackedBackwardCpu);
  library.impl("paged_attention", PagedCpu);
}

class PackedAttentionFunction : public torch::autograd::Function<PackedAttentionFunction> {
 public:
  static at::Tensor forward(AutogradContext *context, const at::Tensor &q, const at::Tensor &k,
                            const at::Tensor &v, const std::vector<int64_t> &cu_seqlens, double scale) {
    static const auto operation = FindOperation<decltype(PackedCpu)>("rein::packed_attention");
    const auto [out, lse] = OnDevice(operation, q, k, v, cu_seqlens, scale);
    context->save_for_backward({q, k, v, out, lse});
    context->saved_data["cu_seqlens"] = cu_seqlens;
    context->saved_data["scale"] = scale;
    return out;
  }

  static variable_list backward(AutogradContext *context, const variable_list &grads) {
    static const auto operation =
        FindOperation<decltype(PackedBackwardCpu)>("rein::packed_attention_backward");
    const variable_list saved = context->get_saved_variables();
    const auto [dq, dk, dv] =
        OnDevice(operation, grads[0].contiguous(), saved[0], saved[1], saved[2], saved[3], saved[4],
                 context->saved_data["cu_seqlens"].toIntVector(), context->saved_data["scale"].toDouble());
    return {dq, dk, dv, at::Tensor(), at::Tensor()};
  }
};

void CheckHeads(const char *name, const at::Tensor &q, int64_t kv_heads, int64_t head_dim) {
  TORCH_CHECK(q.dim() == 3, name, ": q must be [T, heads, D], got ", q.sizes());
  TORCH_CHECK(kv_heads > 0 && q.size(1) % kv_heads == 0, name, ": ", q.size(1),
              " query heads are no multiple of ", kv_heads, " key heads");
  TORCH_CHECK(q.size(2) == head_dim, name, ": head size of q is ", q.size(2), ", of k ", head_dim);
}

}  // namespace

at::Tensor PackedAttention(const at::Tensor &q, const at::Tensor &k, const at::Tensor &v,
                           const std::vector<int64_t> &cu_seqlens, double scale) {
  TORCH_CHECK(k.dim() == 3 && k.sizes() == v.sizes() && q.size(0) == k.size(0),
              "PackedAttention: k and v must be [T, kv_heads, D] with q's T, got ", k.sizes(), " and ",
              v.sizes());
  TORCH_CHECK(q.scalar_type() == k.scalar_type() && q.scalar_type() == v.scalar_type(),
              "PackedAttention: q, k and v must have one dtype, got ", q.scalar_type(), ", ", k.scalar_type(),
              " and ", v.scalar_type());
  CheckHeads("PackedAttention", q, k.size(1), k.size(2));
  TORCH_CHECK(!cu_seqlens.empty() && cu_seqlens.front() == 0 && cu_seqlens.back() == q.size(0) &&
                  std::is_sorted(cu_seqlens.begin(), cu_seqlens.end()),
              "PackedAttention: cu_seqlens must rise from 0 to ", q.size(0));
  if (q.is_cpu()) return PackedAttentionFunction::apply(q, k, v, cu_seqlens, scale);
  return PackedAttentionFunction::apply(q.contiguous(), k.contiguous(), v.contiguous(), cu_seqlens, scale);
}

at::Tensor PagedAttention(const at::Tensor &q, const at::Tensor &key_cache, const at::Tensor &value_cache,
                          const at::Tensor &block_tables, const std::vector<int64_t> &query_lens,
                          const std::vector<int64_t> &context_lens, double scale) {
  const at::ScalarType cached = q.is_cpu() ? at::kFloat : q.scalar_type();
  TORCH_CHECK(key_cache.dim() == 4 && key_cache.is_contiguous() && value_cache.is_contiguous() &&
                  key_cache.sizes() == value_cache.sizes() && key_cache.scalar_type() == cached &&
                  value_cache.scalar_type() == cached,
              "PagedAttention: caches must be contiguous ", cached, " [blocks, block_tokens, kv_heads, D]");
  CheckHeads("PagedAttention", q, key_cache.size(2), key_cache.size(3));
  TORCH_CHECK(block_tables.is_cpu() && block_tables.scalar_type() == at::kInt && block_tables.dim() == 2 &&
                  block_tables.size(0) == static_cast<int64_t>(query_lens.size()) &&
                  query_lens.size() == context_lens.size(),
              "PagedAttention: block_tables must be int32 [", query_lens.size(), ", max_blocks] on the CPU");
  const int64_t room = block_tables.size(1) * key_cache.size(1);
  for (size_t s = 0; s < query_lens.size(); ++s) {
    TORCH_CHECK(query_lens[s] <= context_lens[s] && context_lens[s] <= room, "PagedAttention: sequence ", s,
                " has ", context_lens[s], " tokens but room for ", room);
  }
  const int64_t new_tokens = std::accumulate(query_lens.begin(), query_lens.end(), int64_t{0});
  TORCH_CHECK(new_tokens == q.size(0), "PagedAttention: q has ", q.size(0), " tokens, query_lens sum to ",
              new_tokens);
  static const auto operation = FindOperation<decltype(PagedCpu)>("rein::paged_attention");
  return OnDevice(operation, q.to(cached).contiguous(), key_cache, value_cache, block_tables.contiguous(),
                  query_lens, context_lens, scale)
      .to(q.scalar_type());
}

}  // namespace rein::kernels
