// What every CUDA implementation does before it launches.
#pragma once

#include <ATen/ATen.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

namespace rein::kernels {

// Calls `function` with a zero of the C++ type of `dtype`.
template <typename Function>
void ForFloatType(at::ScalarType dtype, const Function& function) {
  switch (dtype) {
    case at::kFloat:
      return function(float{});
    case at::kBFloat16:
      return function(at::BFloat16{});
    case at::kHalf:
      return function(at::Half{});
    default:
      TORCH_CHECK(false, "kernels on CUDA take float32, bfloat16 or float16, got ", dtype);
  }
}

inline const bool* MaskPointer(const std::optional<at::Tensor>& allowed) {
  return allowed.has_value() ? allowed->const_data_ptr<bool>() : nullptr;
}

inline cudaStream_t Stream() { return c10::cuda::getCurrentCUDAStream().stream(); }

}  // namespace rein::kernels
