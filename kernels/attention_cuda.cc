// CUDA entries of attention: memory and streams here, kernels in attention.cu.
#include <ATen/ATen.h>
#include <torch/library.h>

#include "kernels/attention_tokens.h"
#include "kernels/cuda_call.h"
#include "kernels/ops_cuda.h"

namespace rein::kernels {
namespace {

using c10::cuda::CUDAGuard;

AttentionSizes SizesOf(const at::Tensor& q, int64_t kv_heads, double scale) {
  TORCH_CHECK(q.size(2) <= kMaxHeadDim, "attention on CUDA takes heads of at most ", kMaxHeadDim,
              " dimensions, got ", q.size(2));
  return {q.size(0), q.size(1), kv_heads, q.size(2), static_cast<float>(scale)};
}

at::Tensor OnDeviceOf(const at::Tensor& like, const std::vector<int32_t>& values) {
  return at::tensor(values, at::kInt).to(like.device());
}

// PackedBounds of the tokens, in memory of the device.
class Bounds {
 public:
  Bounds(const at::Tensor& like, at::IntArrayRef cu_seqlens) {
    std::vector<int32_t> begins, ends;
    for (size_t i = 1; i < cu_seqlens.size(); ++i) {
      const int64_t length = cu_seqlens[i] - cu_seqlens[i - 1];
      begins.insert(begins.end(), length, static_cast<int32_t>(cu_seqlens[i - 1]));
      ends.insert(ends.end(), length, static_cast<int32_t>(cu_seqlens[i]));
    }
    begins_ = OnDeviceOf(like, begins);
    ends_ = OnDeviceOf(like, ends);
  }
  PackedBounds View() const { return {begins_.const_data_ptr<int32_t>(), ends_.const_data_ptr<int32_t>()}; }

 private:
  at::Tensor begins_, ends_;
};

std::tuple<at::Tensor, at::Tensor> PackedForward(const at::Tensor& q, const at::Tensor& k,
                                                 const at::Tensor& v, at::IntArrayRef cu_seqlens,
                                                 double scale) {
  const CUDAGuard guard(q.device());
  const Bounds bounds(q, cu_seqlens);
  at::Tensor out = at::empty_like(q), lse = at::empty({q.size(0), q.size(1)}, q.options().dtype(at::kFloat));
  ForFloatType(q.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    PackedForwardCuda(SizesOf(q, k.size(1), scale), bounds.View(), q.const_data_ptr<T>(),
                      k.const_data_ptr<T>(), v.const_data_ptr<T>(), out.mutable_data_ptr<T>(),
                      lse.mutable_data_ptr<float>(), Stream());
  });
  return {out, lse};
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> PackedBackward(const at::Tensor& grad, const at::Tensor& q,
                                                              const at::Tensor& k, const at::Tensor& v,
                                                              const at::Tensor& out, const at::Tensor& lse,
                                                              at::IntArrayRef cu_seqlens, double scale) {
  const CUDAGuard guard(q.device());
  const Bounds bounds(q, cu_seqlens);
  at::Tensor dq = at::empty_like(q), dk = at::empty_like(k), dv = at::empty_like(v);
  at::Tensor delta = at::empty_like(lse);
  ForFloatType(q.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    PackedBackwardCuda(SizesOf(q, k.size(1), scale), bounds.View(), q.const_data_ptr<T>(),
                       k.const_data_ptr<T>(), v.const_data_ptr<T>(), out.const_data_ptr<T>(),
                       lse.const_data_ptr<float>(), grad.const_data_ptr<T>(), delta.mutable_data_ptr<float>(),
                       dq.mutable_data_ptr<T>(), dk.mutable_data_ptr<T>(), dv.mutable_data_ptr<T>(),
                       Stream());
  });
  return {dq, dk, dv};
}

at::Tensor Paged(const at::Tensor& q, const at::Tensor& key_cache, const at::Tensor& value_cache,
                 const at::Tensor& block_tables, at::IntArrayRef query_lens, at::IntArrayRef context_lens,
                 double scale) {
  const CUDAGuard guard(q.device());
  std::vector<int32_t> sequences, contexts;
  for (const PagedToken& token : PagedTokens(query_lens, context_lens)) {
    sequences.push_back(token.sequence);
    contexts.push_back(token.context);
  }
  const at::Tensor tables = block_tables.to(q.device());
  const at::Tensor sequence = OnDeviceOf(q, sequences), context = OnDeviceOf(q, contexts);
  const PagedTables paged{tables.const_data_ptr<int32_t>(), tables.size(1), key_cache.size(1),
                          sequence.const_data_ptr<int32_t>(), context.const_data_ptr<int32_t>()};
  at::Tensor out = at::empty_like(q);
  ForFloatType(q.scalar_type(), [&](auto zero) {
    using T = decltype(zero);
    PagedForwardCuda(SizesOf(q, key_cache.size(2), scale), paged, q.const_data_ptr<T>(),
                     key_cache.const_data_ptr<T>(), value_cache.const_data_ptr<T>(),
                     out.mutable_data_ptr<T>(), Stream());
  });
  return out;
}

TORCH_LIBRARY_IMPL(rein, CUDA, library) {
  library.impl("packed_attention", PackedForward);
  library.impl("packed_attention_backward", PackedBackward);
  library.impl("paged_attention", Paged);
}

}  // namespace
}  // namespace rein::kernels
