// In which dtype linear layers multiply: mixed precision, as torch.autocast does it.
#pragma once

#include <c10/core/ScalarType.h>

namespace rein::kernels {

// While one lives, Linear rounds float32 inputs and weights to `dtype` before it multiplies (kFloat: it does
// not) and gives results in that dtype, on this thread; what a backward pass computes again
// (models/recomputed.h) is computed as it was, on whatever thread. Gradients reach float32 weights in
// float32. The innermost one counts.
class ProductPrecision {
 public:
  explicit ProductPrecision(c10::ScalarType dtype);
  ~ProductPrecision();
  ProductPrecision(const ProductPrecision&) = delete;
  ProductPrecision& operator=(const ProductPrecision&) = delete;

 private:
  const c10::ScalarType outer_;
};

// That of this thread; kFloat where none lives.
c10::ScalarType ProductDtype();

}  // namespace rein::kernels
