// Weights on their way from one process to another: a flat layout of named tensors, their fingerprint, and
// the staging memory of a receiver.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace rein::collectives {

// By canonical Hugging Face name; the same type as models::NamedTensors.
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

// Coordinator epoch and number: a lost version is never mistaken for a new one.
struct Version {
  uint64_t epoch = 0;
  uint64_t number = 0;
  bool operator==(const Version&) const = default;
};

// One tensor of a manifest, as v1.TensorEntry. dtype is named as in safetensors: F32, BF16, F16, F64, I64,
// I32, U8.
struct TensorInfo {
  std::string name;
  std::string dtype;
  std::vector<int64_t> shape;
  bool operator==(const TensorInfo&) const = default;
};

// Hash of a tensor's name and bytes, in its dtype, row by row whatever its strides are. Independent of host
// and thread count. Any single changed byte changes it. Fingerprints of several tensors are added (modulo
// 2^64).
uint64_t Fingerprint(const std::string& name, const at::Tensor& tensor);
uint64_t Fingerprint(const NamedTensors& tensors);

// Tensors end to end in the order of their names, each from a multiple of 64 bytes on; gaps are zero. Two
// processes with equal manifests have equal layouts.
class FlatLayout {
 public:
  // Errors: INVALID_ARGUMENT (a name twice or empty, unknown dtype).
  static absl::StatusOr<FlatLayout> Of(const NamedTensors& tensors);

  // In layout order.
  const std::vector<TensorInfo>& manifest() const { return manifest_; }
  // The given tensors, in layout order.
  const NamedTensors& tensors() const { return tensors_; }
  int64_t bytes() const { return bytes_; }
  int64_t offset(size_t i) const { return offsets_[i]; }
  // Bytes of the tensor, without the gap after it.
  int64_t tensor_bytes(size_t i) const { return tensors_[i].second.nbytes(); }

  // The methods below work on ranges of the layout: `begin` is a multiple of 64, and so is the size unless
  // the range ends with the layout.

  // Copies bytes [begin, begin + out.numel()) to `out`: uint8 [n], any device.
  void Pack(int64_t begin, const at::Tensor& out) const;
  // Part of the fingerprint of [begin, begin + size), from the tensors as they are now.
  uint64_t FingerprintOfLive(int64_t begin, int64_t size) const;
  // The same, from `data`: uint8 [n] that was packed at `begin`.
  uint64_t FingerprintOf(int64_t begin, const at::Tensor& data) const;

  // OK when `other` describes the same tensors. Otherwise FAILED_PRECONDITION naming up to three differences.
  absl::Status Match(const std::vector<TensorInfo>& other) const;

 private:
  template <typename Visit>
  void ForEachPart(int64_t begin, int64_t size, const Visit& visit) const;

  std::vector<TensorInfo> manifest_;
  NamedTensors tensors_;
  std::vector<int64_t> offsets_;
  std::vector<uint64_t> keys_;
  int64_t bytes_ = 0;
};

// Where a version arrives while the model goes on with the one before. Not thread-safe: whoever receives must
// not overlap with whoever applies.
class StagedWeights {
 public:
  // `tensors` are the live tensors of the model, aliased; staging memory is allocated at the first Begin.
  // Errors: those of FlatLayout::Of.
  static absl::StatusOr<StagedWeights> For(const NamedTensors& tensors);

  const FlatLayout& layout() const { return layout_; }

  // Forgets what was staged and makes room. Returns uint8 [layout().bytes()] on `device`, to be filled.
  at::Tensor Begin(at::Device device = at::kCPU);
  // Gives up what was begun, with its memory: a late write of a broken group must not reach the next version.
  void Drop();
  // What arrived is `version` with this fingerprint; to be called when all bytes are there.
  void Finish(Version version, uint64_t fingerprint);

  // Set between Finish and the next Begin.
  bool staged() const { return staged_; }
  Version version() const { return version_; }
  uint64_t fingerprint() const { return fingerprint_; }

  // Copies the staged version into the model's tensors; between two decode steps. It stays staged.
  // Errors: FAILED_PRECONDITION (another version, or none, is staged).
  absl::Status Apply(Version version);

 private:
  explicit StagedWeights(FlatLayout layout) : layout_(std::move(layout)) {}

  FlatLayout layout_;
  at::Tensor buffer_;
  bool staged_ = false;
  Version version_;
  uint64_t fingerprint_ = 0;
};

}  // namespace rein::collectives
