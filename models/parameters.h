// The tensors of a model by name, and linear layers that share their storage.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "models/vision_language_model.h"

namespace rein::models {

// Several linear layers with the same input: one matrix product computes all of them. `parts` are the layers'
// own tensors, one below the other in the storage of `joined`; autograd sees the parts.
struct JoinedLinear {
  at::Tensor joined;       // [rows of all parts, columns]
  at::Tensor joined_bias;  // [rows of all parts] or undefined
  std::vector<at::Tensor> parts;
  std::vector<at::Tensor> biases;  // empty without bias
  std::vector<LinearLayer::Slot> slots;
};

// x: [..., columns] -> [..., rows of all parts].
at::Tensor Apply(const JoinedLinear& layer, const at::Tensor& x);

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out] or undefined
  LinearLayer::Slot slot;
};
at::Tensor Apply(const Linear& layer, const at::Tensor& x);

// Owns the list of parameters while modules are built, loaded or drawn.
class Parameters {
 public:
  enum class Fill { kNormal, kOnes, kZeros };

  Parameters(at::ScalarType dtype, at::Device device) : options_(at::TensorOptions(dtype).device(device)) {}

  // Uninitialised; `deviation` is that of Draw.
  at::Tensor Add(const std::string& name, const std::vector<int64_t>& shape, Fill fill,
                 double deviation = 0.02);
  // `prefix`.weight and, if wanted, `prefix`.bias.
  Linear AddLinear(const std::string& prefix, int64_t out, int64_t in, bool bias, double deviation);
  struct Part {
    std::string prefix;
    int64_t rows;
  };
  JoinedLinear AddJoined(const std::vector<Part>& parts, int64_t in, bool bias, double deviation);

  bool Contains(const std::string& name) const { return index_.contains(name); }
  // The tensor that takes the values of a file's tensor, which has this dtype and shape; it counts as set
  // from now on. Errors: INVALID_ARGUMENT (unknown name, wrong shape, no floating point, set twice).
  absl::StatusOr<at::Tensor> Take(const std::string& name, at::ScalarType dtype, at::IntArrayRef shape);
  // Names that Take has not been called for.
  std::vector<std::string> Missing() const;
  // Random values, reproducible from the seed and each tensor's name on every host.
  void DrawAll(uint64_t seed);
  void Draw(const std::string& name, uint64_t seed);

  const NamedTensors& tensors() const { return tensors_; }
  const std::vector<LinearLayer>& linear_layers() const { return linear_layers_; }

 private:
  struct Note {
    Fill fill;
    double deviation;
    bool set = false;
  };
  at::Tensor Register(const std::string& name, at::Tensor tensor, Fill fill, double deviation);
  at::Tensor AddAliases(const std::vector<Part>& parts, const std::string& suffix, std::vector<int64_t> shape,
                        Fill fill, double deviation, std::vector<at::Tensor>& aliases);
  LinearLayer::Slot AddSlot(const std::string& prefix, const at::Tensor& weight);

  at::TensorOptions options_;
  NamedTensors tensors_;
  std::vector<Note> notes_;
  std::unordered_map<std::string, size_t> index_;
  std::vector<LinearLayer> linear_layers_;
};

}  // namespace rein::models
