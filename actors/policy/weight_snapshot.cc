#include "actors/policy/weight_snapshot.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "absl/status/status.h"

namespace rein::policy {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

void Append(const std::string& name, const at::Tensor& live, WeightSnapshot* snapshot) {
  const at::Tensor tensor = live.detach().to(at::kCPU).contiguous();
  v1::TensorEntry* entry = snapshot->manifest.add_tensors();
  entry->set_name(name);
  entry->set_dtype("float32");  // what LoadRoleModel makes
  for (const int64_t size : tensor.sizes()) entry->add_shape(size);
  snapshot->bytes.append(static_cast<const char*>(tensor.const_data_ptr()), tensor.nbytes());
}

}  // namespace

std::shared_ptr<const WeightSnapshot> TakeSnapshot(const models::VisionLanguageModel& model,
                                                   const v1::WeightVersion& version) {
  auto snapshot = std::make_shared<WeightSnapshot>();
  snapshot->version = version;
  size_t bytes = 0;
  for (const auto& [name, tensor] : model.tensors()) bytes += tensor.nbytes();
  snapshot->bytes.reserve(bytes);
  for (const auto& [name, tensor] : model.tensors()) Append(name, tensor, snapshot.get());
  return snapshot;
}

absl::Status StreamSnapshot(const WeightSnapshot& snapshot,
                            const std::function<bool(const v1::ReadWeightsResponse&)>& write) {
  const absl::Status gone = absl::CancelledError("the reader of the weights is gone");
  v1::ReadWeightsResponse response;
  *response.mutable_manifest() = snapshot.manifest;
  if (!write(response)) return gone;
  for (size_t offset = 0; offset < snapshot.bytes.size(); offset += kChunkBytes) {
    v1::Chunk* chunk = response.mutable_chunk();
    chunk->set_offset(static_cast<int64_t>(offset));
    chunk->set_total_bytes(static_cast<int64_t>(snapshot.bytes.size()));
    chunk->set_data(snapshot.bytes.data() + offset, std::min(kChunkBytes, snapshot.bytes.size() - offset));
    if (!write(response)) return gone;
  }
  return absl::OkStatus();
}

}  // namespace rein::policy
