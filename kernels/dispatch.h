// The dispatcher entries of namespace rein. Each operation declares its own in its .cc, next to the CPU
// implementation; row_ops_cuda.cc and attention_cuda.cc add the CUDA ones in builds with REIN_CUDA.
#pragma once

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include <utility>

namespace rein::kernels {

// Calls `operation`, a handle from FindOperation, on the device of its arguments. Gradients are the business
// of the autograd functions that call this.
template <typename Operation, typename... Arguments>
auto OnDevice(const Operation& operation, Arguments&&... arguments) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  return operation.call(std::forward<Arguments>(arguments)...);
}

// FindOperation<decltype(ImplementationCpu)>("rein::name"); looked up once and kept.
template <typename Signature>
c10::TypedOperatorHandle<Signature> FindOperation(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>();
}

}  // namespace rein::kernels
