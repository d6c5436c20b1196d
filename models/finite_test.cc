#include "models/finite.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace rein::models {
namespace {

constexpr at::ScalarType kDtypes[] = {at::kDouble, at::kFloat, at::kBFloat16, at::kHalf};

TEST(CountNotFinite, FindsOneWhereverItStands) {
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::nan("");
  for (const at::ScalarType dtype : kDtypes) {
    for (const int64_t size : {1, 3, 31, 32, 33, 255, 257, 1000}) {
      for (const int64_t at : {int64_t{0}, size / 2, size - 1}) {
        for (const double bad : {nan, -nan, infinity, -infinity}) {
          at::Tensor values = at::randn({size}).to(dtype);
          values[at] = bad;
          EXPECT_EQ(CountNotFinite(values), 1) << dtype << " " << size << " " << at << " " << bad;
        }
      }
    }
  }
}

TEST(CountNotFinite, TakesTheLargestAndTheSmallestNumbersForFinite) {
  for (const at::ScalarType dtype : kDtypes) {
    const double largest = dtype == at::kDouble     ? std::numeric_limits<double>::max()
                           : dtype == at::kFloat    ? std::numeric_limits<float>::max()
                           : dtype == at::kBFloat16 ? 0x1.fep127
                                                    : 65504.0;
    at::Tensor values = at::zeros({129}, dtype);
    values.fill_(largest);
    values[1] = -largest;
    values[2] = 0x1p-24;
    values[3] = -0.0;
    EXPECT_TRUE(at::isfinite(values).all().item<bool>()) << dtype;
    EXPECT_EQ(CountNotFinite(values), 0) << dtype;
  }
}

TEST(CountNotFinite, CountsAllOfThemInAnUnalignedPart) {
  at::Tensor values = at::ones({1001}, at::kBFloat16);
  values.slice(0, 0, 1001, 10).fill_(std::nan(""));
  EXPECT_EQ(CountNotFinite(values), 101);
  EXPECT_EQ(CountNotFinite(values.narrow(0, 1, 999)), 99);
  EXPECT_EQ(CountNotFinite(values.narrow(0, 1, 9)), 0);
  EXPECT_EQ(CountNotFinite(at::empty({0})), 0);
}

}  // namespace
}  // namespace rein::models
