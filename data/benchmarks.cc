#include "data/benchmarks.h"

#include "data/mm_safety_bench.h"
#include "data/vlguard.h"
#include "data/vlsbench.h"

namespace rein::data {

const Benchmark* BenchmarkOf(Format format) {
  static constexpr Benchmark kMmSafetyBench = {MmSafetyBenchImages, MmSafetyBenchRows};
  static constexpr Benchmark kVlGuard = {VlGuardImages, VlGuardRows};
  static constexpr Benchmark kVlsBench = {VlsBenchImages, VlsBenchRows};
  switch (format) {
    case Format::kMmSafetyBench:
      return &kMmSafetyBench;
    case Format::kVlGuard:
      return &kVlGuard;
    case Format::kVlsBench:
      return &kVlsBench;
    default:
      return nullptr;
  }
}

}  // namespace rein::data
