// Keys and values of past tokens, in blocks.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace rein::models {

// Storage only: which sequence owns which block is the rollout engine's business.
class KvCache {
 public:
  struct Shape {
    int64_t layers = 0;
    int64_t blocks = 0;
    int64_t block_tokens = 16;
    int64_t kv_heads = 0;
    int64_t head_dim = 0;
  };
  KvCache(const Shape& shape, at::ScalarType dtype, at::Device device);

  const Shape& shape() const { return shape_; }
  // [blocks, block_tokens, kv_heads, head_dim]
  at::Tensor& keys(int64_t layer) { return keys_[layer]; }
  at::Tensor& values(int64_t layer) { return values_[layer]; }
  // Bytes of one block over all layers, keys and values.
  static int64_t BlockBytes(const Shape& shape, at::ScalarType dtype);

 private:
  Shape shape_;
  std::vector<at::Tensor> keys_, values_;
};

}  // namespace rein::models
