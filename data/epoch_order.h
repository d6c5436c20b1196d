// In which order rows are seen.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace rein::data {

// An endless stream of rows: one seeded shuffle an epoch, a pure function of seed, size and position.
class EpochOrder {
 public:
  // size > 0.
  EpochOrder(uint64_t seed, size_t size) : seed_(seed), order_(size) {}

  // The row at `position`. Fast as long as positions of one epoch are asked together.
  size_t At(int64_t position);

 private:
  void Shuffle(int64_t epoch);

  uint64_t seed_;
  int64_t epoch_ = -1;
  std::vector<size_t> order_;
};

}  // namespace rein::data
