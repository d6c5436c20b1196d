#include "actors/rollout/engine/block_pool.h"

#include <numeric>

namespace rein::rollout {

BlockPool::BlockPool(int64_t blocks) : users_(blocks, 0), free_(blocks) {
  std::iota(free_.rbegin(), free_.rend(), 0);
}

int32_t BlockPool::Take() {
  const int32_t block = free_.back();
  free_.pop_back();
  users_[block] = 1;
  return block;
}

void BlockPool::Release(int32_t block) {
  if (--users_[block] == 0) free_.push_back(block);
}

void BlockPool::Release(std::vector<int32_t>& blocks) {
  for (int32_t block : blocks) Release(block);
  blocks.clear();
}

}  // namespace rein::rollout
