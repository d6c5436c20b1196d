#include "models/kv_cache.h"

#include <ATen/ATen.h>

namespace rein::models {

KvCache::KvCache(const Shape& shape, at::ScalarType dtype, at::Device device) : shape_(shape) {
  const at::TensorOptions options = at::TensorOptions(dtype).device(device);
  for (int64_t i = 0; i < shape.layers; ++i) {
    keys_.push_back(at::zeros({shape.blocks, shape.block_tokens, shape.kv_heads, shape.head_dim}, options));
    values_.push_back(at::zeros_like(keys_.back()));
  }
}

int64_t KvCache::BlockBytes(const Shape& shape, at::ScalarType dtype) {
  const auto element = static_cast<int64_t>(c10::elementSize(dtype));
  return 2 * shape.layers * shape.block_tokens * shape.kv_heads * shape.head_dim * element;
}

}  // namespace rein::models
