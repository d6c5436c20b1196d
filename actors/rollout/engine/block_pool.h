// Which blocks of the KV cache are in use, and by how many.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace rein::rollout {

class BlockPool {
 public:
  explicit BlockPool(int64_t blocks);

  int64_t total() const { return static_cast<int64_t>(users_.size()); }
  int64_t free() const { return static_cast<int64_t>(free_.size()); }

  // A free block, with one user; requires free() > 0.
  int32_t Take();
  // One user more.
  void Share(int32_t block) { ++users_[block]; }
  // One user less; the last one frees it.
  void Release(int32_t block);
  void Release(std::vector<int32_t>& blocks);
  bool shared(int32_t block) const { return users_[block] > 1; }

 private:
  std::vector<int32_t> users_;
  std::vector<int32_t> free_;  // last freed, first taken
};

}  // namespace rein::rollout
