// The same weights as a manifest and a sequence of chunks, for transports that move bytes
// (WeightSource.Read).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "collectives/staged_weights.h"

namespace rein::collectives {

// Cuts tensors into chunks. The tensors must not change while it is used.
class WeightStreamWriter {
 public:
  static constexpr int64_t kDefaultChunkBytes = int64_t{1} << 20;

  // chunk_bytes is rounded up to a multiple of 64. Errors: INVALID_ARGUMENT (chunk_bytes not positive, bad
  // tensors).
  static absl::StatusOr<WeightStreamWriter> Make(const NamedTensors& tensors,
                                                 int64_t chunk_bytes = kDefaultChunkBytes);

  // What to send first.
  const std::vector<TensorInfo>& manifest() const { return layout_.manifest(); }
  uint64_t fingerprint() const { return fingerprint_; }
  int64_t bytes() const { return layout_.bytes(); }

  // The next chunk into `chunk`; false after the last.
  bool Next(std::string* chunk);

 private:
  WeightStreamWriter(FlatLayout layout, int64_t chunk_bytes, uint64_t fingerprint)
      : layout_(std::move(layout)), chunk_bytes_(chunk_bytes), fingerprint_(fingerprint) {}

  FlatLayout layout_;
  int64_t chunk_bytes_;
  uint64_t fingerprint_;
  int64_t position_ = 0;
};

// Puts chunks together in staging memory. Chunks may have any sizes.
class WeightStreamReader {
 public:
  // `staged` must outlive the reader.
  explicit WeightStreamReader(StagedWeights* staged) : staged_(staged) {}

  // Errors: FAILED_PRECONDITION (other tensors than the model has: names up to three).
  absl::Status Begin(const std::vector<TensorInfo>& manifest);
  // Errors: FAILED_PRECONDITION (no Begin), DATA_LOSS (more bytes than the manifest announced).
  absl::Status Add(absl::string_view chunk);
  // Marks the version as staged and returns the fingerprint of what arrived. Errors: DATA_LOSS (bytes are
  // missing).
  absl::StatusOr<uint64_t> Finish(Version version);

 private:
  StagedWeights* staged_;
  at::Tensor buffer_;
  int64_t position_ = 0;
};

}  // namespace rein::collectives
