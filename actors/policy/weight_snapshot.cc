#include "actors/policy/weight_snapshot.h"

#include <ATen/ATen.h>

#include <string>
#include <utility>

#include "base/status.h"

namespace rein::policy {
namespace {

v1::WeightManifest ToManifest(const collectives::WeightStreamWriter& writer) {
  v1::WeightManifest manifest;
  manifest.set_fingerprint(writer.fingerprint());
  for (const collectives::TensorInfo& info : writer.manifest()) {
    v1::TensorEntry* entry = manifest.add_tensors();
    entry->set_name(info.name);
    entry->set_dtype(info.dtype);
    entry->mutable_shape()->Assign(info.shape.begin(), info.shape.end());
  }
  return manifest;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const WeightSnapshot>> TakeSnapshot(const collectives::NamedTensors& tensors,
                                                                   const v1::WeightVersion& version) {
  collectives::NamedTensors copies;
  for (const auto& [name, tensor] : tensors) {
    copies.emplace_back(name, tensor.detach().to(at::kCPU, /*non_blocking=*/false, /*copy=*/true));
  }
  REIN_ASSIGN_OR_RETURN(collectives::WeightStreamWriter writer,
                        collectives::WeightStreamWriter::Make(copies));
  return std::make_shared<const WeightSnapshot>(WeightSnapshot{version, std::move(writer)});
}

absl::Status StreamSnapshot(const WeightSnapshot& snapshot,
                            const std::function<bool(const v1::ReadWeightsResponse&)>& write) {
  const absl::Status gone = absl::CancelledError("the reader of the weights is gone");
  v1::ReadWeightsResponse response;
  *response.mutable_manifest() = ToManifest(snapshot.writer);
  if (!write(response)) return gone;
  collectives::WeightStreamWriter writer = snapshot.writer;
  std::string bytes;
  int64_t offset = 0;
  while (writer.Next(&bytes)) {
    v1::Chunk* chunk = response.mutable_chunk();
    chunk->set_offset(offset);
    chunk->set_total_bytes(writer.bytes());
    offset += static_cast<int64_t>(bytes.size());
    chunk->set_data(std::move(bytes));
    if (!write(response)) return gone;
  }
  return absl::OkStatus();
}

}  // namespace rein::policy
