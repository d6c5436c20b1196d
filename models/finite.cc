#include "models/finite.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

namespace rein::models {
namespace {

constexpr int64_t kBlockWords = 64;

// The exponent bits of every value in a 64-bit word, and the lowest of them. A value is NaN or infinite when
// all bits of its exponent are set; then, and only then, adding the lowest carries into the place of its
// sign.
struct Exponents {
  uint64_t mask;
  uint64_t lowest;
};

Exponents ExponentsOf(at::ScalarType dtype) {
  switch (dtype) {
    case at::kDouble:
      return {0x7ff0000000000000, 0x0010000000000000};
    case at::kFloat:
      return {0x7f8000007f800000, 0x0080000000800000};
    case at::kBFloat16:
      return {0x7f807f807f807f80, 0x0080008000800080};
    default:
      return {0x7c007c007c007c00, 0x0400040004000400};
  }
}

bool AllFinite(const at::Tensor& values) {
  const Exponents exponents = ExponentsOf(values.scalar_type());
  const uint64_t carry = exponents.mask + exponents.lowest;
  const char* cursor = static_cast<const char*>(values.const_data_ptr());
  auto left = static_cast<int64_t>(values.nbytes());
  while (left > 0) {
    uint64_t words[kBlockWords] = {};
    const int64_t bytes = std::min<int64_t>(left, sizeof(words));
    std::memcpy(words, cursor, static_cast<size_t>(bytes));
    uint64_t carried = 0;
    for (const uint64_t word : words) carried |= (word & exponents.mask) + exponents.lowest;
    if ((carried & carry) != 0) return false;
    cursor += bytes;
    left -= bytes;
  }
  return true;
}

}  // namespace

int64_t CountNotFinite(const at::Tensor& values) {
  if (AllFinite(values)) return 0;
  return values.numel() - at::isfinite(values).sum().item<int64_t>();
}

}  // namespace rein::models
