#include "data/epoch_order.h"

#include <numeric>
#include <utility>

#include "base/hash.h"

namespace rein::data {

size_t EpochOrder::At(int64_t position) {
  const int64_t size = static_cast<int64_t>(order_.size());
  if (position / size != epoch_) Shuffle(position / size);
  return order_[position % size];
}

void EpochOrder::Shuffle(int64_t epoch) {
  std::iota(order_.begin(), order_.end(), size_t{0});
  CounterRandom random(RandomBits(seed_, static_cast<uint64_t>(epoch)));
  for (size_t i = order_.size() - 1; i > 0; --i) std::swap(order_[i], order_[random.Below(i + 1)]);
  epoch_ = epoch;
}

}  // namespace rein::data
