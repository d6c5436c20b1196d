#include "collectives/weight_stream.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace rein::collectives {

absl::StatusOr<WeightStreamWriter> WeightStreamWriter::Make(const NamedTensors& tensors,
                                                            int64_t chunk_bytes) {
  if (chunk_bytes <= 0)
    return absl::InvalidArgumentError(absl::StrCat("chunk_bytes must be positive, not ", chunk_bytes));
  REIN_ASSIGN_OR_RETURN(FlatLayout layout, FlatLayout::Of(tensors));
  const uint64_t fingerprint = layout.FingerprintOfLive(0, layout.bytes());
  return WeightStreamWriter(std::move(layout), (chunk_bytes + 63) / 64 * 64, fingerprint);
}

bool WeightStreamWriter::Next(std::string* chunk) {
  const int64_t size = std::min(chunk_bytes_, layout_.bytes() - position_);
  if (size <= 0) return false;
  chunk->resize(size);
  layout_.Pack(position_, at::from_blob(chunk->data(), {size}, at::kByte));
  position_ += size;
  return true;
}

absl::Status WeightStreamReader::Begin(const std::vector<TensorInfo>& manifest) {
  REIN_RETURN_IF_ERROR(staged_->layout().Match(manifest));
  buffer_ = staged_->Begin();
  position_ = 0;
  return absl::OkStatus();
}

absl::Status WeightStreamReader::Add(absl::string_view chunk) {
  if (!buffer_.defined()) return absl::FailedPreconditionError("a chunk of weights came before the manifest");
  const int64_t room = buffer_.numel() - position_;
  if (static_cast<int64_t>(chunk.size()) > room) {
    return absl::DataLossError(
        absl::StrCat("the weight stream holds more than the ", buffer_.numel(), " bytes of its manifest"));
  }
  std::memcpy(buffer_.mutable_data_ptr<uint8_t>() + position_, chunk.data(), chunk.size());
  position_ += static_cast<int64_t>(chunk.size());
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> WeightStreamReader::Finish(Version version) {
  if (!buffer_.defined() || position_ != buffer_.numel()) {
    return absl::DataLossError(absl::StrCat("the weight stream ended after ", position_, " of ",
                                            staged_->layout().bytes(), " bytes"));
  }
  const uint64_t fingerprint = staged_->layout().FingerprintOf(0, buffer_);
  staged_->Finish(version, fingerprint);
  buffer_.reset();
  return fingerprint;
}

}  // namespace rein::collectives
